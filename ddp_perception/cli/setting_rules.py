"""Check the settings that every configuration has, before anything is built.

What mmengine's Runner, loops, loaders and usual hooks take: a wrong type or
range there ends far away in code that does not know the setting's name, or in
nothing at all. What models, data sets and pipelines take, their constructors
check; see `build_errors`.
"""
from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeGuard

from ddp_perception.cli.errors import UserError, shortened

if TYPE_CHECKING:
    from mmengine.config import Config

_MOST_WORKERS = 256


class _Rule(NamedTuple):
    """Which values a setting takes.

    Attributes:
        place: Keys between dots; ``a|b`` stands for each of them, ``*`` for
            every key and ``[]`` for every item of a list.
        expected: For the message.
        holds: Whether a value is one of these.
        optional: Whether None is, too.
    """

    place: str
    expected: str
    holds: Callable[[object], bool]
    optional: bool = False


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _is_whole(least: float, most: float = math.inf) -> Callable[[object], bool]:
    return lambda value: (isinstance(value, int) and not isinstance(value, bool)
                          and least <= value <= most)


def _is_number(value: object) -> TypeGuard[float]:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def _is_at_least_zero(value: object) -> bool:
    return _is_number(value) and value >= 0


def _is_positive(value: object) -> bool:
    return _is_number(value) and value > 0


def _has_type(value: object) -> TypeGuard[dict]:
    return isinstance(value, dict) and bool(value.get('type'))


def _is_interval(value: object) -> bool:
    return value == -1 or _is_whole(1)(value)


def _is_optimizer(value: object) -> bool:
    # mmengine's constructors build several from one dict each.
    return isinstance(value, dict) and bool(
        value.get('type') or value.get('optimizer') or value.get('constructor'))


_WITH_TYPE = "settings with a 'type'"
_SETTINGS = 'settings (a dict)'
_LOADERS = 'train_dataloader|val_dataloader|test_dataloader'
_RULES = (
    _Rule('model', _WITH_TYPE, _has_type),
    _Rule('train_cfg|val_cfg|test_cfg', _SETTINGS, _is(dict), True),
    _Rule('train_cfg.by_epoch', 'True or False', _is(bool)),
    _Rule('train_cfg.max_epochs|max_iters', 'a whole number from 1 on',
          _is_whole(1), True),
    _Rule('train_cfg.val_interval', 'a whole number from 1 on', _is_whole(1)),
    _Rule('train_cfg.val_begin', 'a whole number from 0 on', _is_whole(0)),
    _Rule(_LOADERS, _SETTINGS, _is(dict), True),
    _Rule(f'{_LOADERS}.batch_size', 'a whole number from 1 on', _is_whole(1)),
    _Rule(f'{_LOADERS}.num_workers', f'a whole number from 0 to {_MOST_WORKERS}',
          _is_whole(0, _MOST_WORKERS)),
    _Rule(f'{_LOADERS}.prefetch_factor', 'a whole number from 1 on',
          _is_whole(1, 10_000), True),
    _Rule(f'{_LOADERS}.persistent_workers|pin_memory|drop_last',
          'True or False', _is(bool)),
    _Rule(f'{_LOADERS}.sampler|batch_sampler', _WITH_TYPE, _has_type, True),
    _Rule(f'{_LOADERS}.collate_fn', _WITH_TYPE,
          lambda value: callable(value) or _has_type(value)),
    _Rule('optim_wrapper', _SETTINGS, _is(dict), True),
    _Rule('optim_wrapper.optimizer', _WITH_TYPE, _is_optimizer),
    _Rule('optim_wrapper.optimizer.lr|weight_decay', 'a number from 0 on',
          _is_at_least_zero),
    _Rule('optim_wrapper.clip_grad|paramwise_cfg', _SETTINGS, _is(dict), True),
    _Rule('optim_wrapper.clip_grad.max_norm', 'a positive number', _is_positive),
    _Rule('optim_wrapper.accumulative_counts', 'a whole number from 1 on',
          _is_whole(1)),
    _Rule('param_scheduler', 'settings of a scheduler, or a list of such',
          _is(dict, list, tuple), True),
    _Rule('param_scheduler.[]', _WITH_TYPE, _has_type),
    _Rule('param_scheduler.[].gamma|factor|power', 'a number', _is_number),
    _Rule('default_hooks', 'settings of hooks by name (a dict)', _is(dict), True),
    _Rule('default_hooks.*', _WITH_TYPE, _has_type, True),
    _Rule('default_hooks.logger.interval', 'a whole number from 1 on',
          _is_whole(1)),
    _Rule('default_hooks.checkpoint.interval|max_keep_ckpts',
          'a whole number from 1 on, or -1', _is_interval),
    _Rule('default_hooks.checkpoint.by_epoch|save_last|save_optimizer|'
          'save_param_scheduler', 'True or False', _is(bool)),
    _Rule('custom_hooks', 'a list of settings', _is(list, tuple), True),
    _Rule('custom_hooks.[]', _WITH_TYPE, _has_type),
    _Rule('randomness|env_cfg|log_processor|visualizer|auto_scale_lr|'
          'model_wrapper_cfg|data_preprocessor', _SETTINGS, _is(dict), True),
    _Rule('randomness.seed', 'a whole number from 0 to 2^32 - 1',
          _is_whole(0, 2**32 - 1), True),
    _Rule('randomness.deterministic|diff_rank_seed', 'True or False', _is(bool)),
    _Rule('env_cfg.mp_cfg|dist_cfg', _SETTINGS, _is(dict)),
    _Rule('log_processor.window_size', 'a whole number from 1 on', _is_whole(1)),
    _Rule('visualizer.vis_backends', 'a list of settings', _is(list, tuple), True),
    _Rule('visualizer.vis_backends.[]', _WITH_TYPE, _has_type),
    _Rule('auto_scale_lr.base_batch_size', 'a whole number from 1 on',
          _is_whole(1)),
    _Rule('val_evaluator|test_evaluator', 'settings of a metric, or a list of '
          'such', _is(dict, list, tuple), True),
    _Rule('val_evaluator|test_evaluator.[]', _WITH_TYPE, _has_type),
    _Rule('load_from|default_scope|work_dir|experiment_name', 'a text', _is(str),
          True),
    _Rule('resume', 'True or False', _is(bool)),
    _Rule('log_level', 'INFO, DEBUG, WARNING or ERROR', lambda value:
          isinstance(value, str) and isinstance(
              logging.getLevelName(value.upper()), int)),
    _Rule('model.module', _WITH_TYPE, _has_type),
    _Rule('model.seg_head', _WITH_TYPE, _has_type),
    _Rule('model.decode_head', "settings with a 'type', or a list of such",
          lambda value: _has_type(value) or (
              isinstance(value, list) and bool(value)
              and all(map(_has_type, value)))),
    _Rule('model.seg_head|decode_head.sampler', _SETTINGS, _is(dict), True),
)
_DATASET_RULES = (
    _Rule('data_root', 'the path of a folder', _is(str), True),
    _Rule('ann_file', 'the path of a file', _is(str), True),
    _Rule('data_prefix|metainfo', _SETTINGS, _is(dict), True),
    _Rule('data_prefix.img_path|seg_map_path|pts|depth_map_path',
          'the path of a folder', _is(str), True),
    _Rule('pipeline', 'a list of steps', _is(list, tuple)),
    _Rule('pipeline.[]', _WITH_TYPE,
          lambda value: callable(value) or _has_type(value)),
    _Rule('test_mode', 'True or False', _is(bool)),
    _Rule('indices', 'a whole number or a list of such', lambda value:
          _is_whole(-math.inf)(value) or isinstance(value, (list, tuple)), True),
)

_OPTIONAL = {
    'find_unused_parameters', 'sync_bn', 'compile', 'tta_model', 'tta_pipeline',
    'runner_type', 'activation_checkpointing', 'efficient_conv_bn_eval',
    'custom_imports', 'save_inner_model'}
"""What mmengine reads beside the arguments of its Runner."""


def require_settings(cfg: Config, path: str | Path) -> None:
    """Raise unless the settings that all configurations have are well-formed.

    Args:
        cfg: The configuration.
        path: For the message.

    Raises:
        UserError: names the key, what it must be, and what it is.
    """
    content = cfg._cfg_dict
    _apply(_RULES, content, '', path)
    for name in _LOADERS.split('|'):
        loader = content.get(name)
        if loader is not None:
            _require_dataset(loader, name, path)


def require_known_options(cfg: Config, options: Iterable[str]) -> None:
    """Raise where an option's first key is neither in `cfg` nor one of mmengine.

    Args:
        cfg: Before the options.
        options: Dotted keys.

    Raises:
        UserError: names the key, and one that is alike.
    """
    import inspect

    from mmengine.runner import Runner
    known = {*cfg._cfg_dict, *_OPTIONAL,
             *inspect.signature(Runner.__init__).parameters} - {'self', 'cfg'}
    for option in options:
        parts = option.split('.')
        if not all(parts):
            raise UserError(f'--cfg-options: {option!r} is no key; expected names '
                            'between single dots')
        if parts[0] not in known:
            near = difflib.get_close_matches(parts[0], known, 1)
            raise UserError(f'--cfg-options: the configuration has no '
                            f'{parts[0]!r} (in {option})'
                            + (f'; did you mean {near[0]!r}?' if near else ''))


def _require_dataset(loader: dict, place: str, path: str | Path) -> None:
    """Check a loader's data set and whatever it wraps."""
    depth = 0
    while True:
        place = f'{place}.dataset'
        dataset = loader.get('dataset')
        if not _has_type(dataset):
            _refuse(place, _WITH_TYPE, dataset, path)
        _apply(_DATASET_RULES, dataset, f'{place}.', path)
        if 'dataset' not in dataset or 'ann_file' in dataset:
            return
        loader, depth = dataset, depth + 1
        if depth > 20:
            _refuse(place, 'at most 20 wrappers', dataset, path)


def _apply(rules: Iterable[_Rule], content: dict, prefix: str,
           path: str | Path) -> None:
    for rule in rules:
        for place, value in _found(content, rule.place.split('.'), ()):
            if not (value is None and rule.optional or rule.holds(value)):
                _refuse(prefix + place, rule.expected, value, path)


def _found(node: object, keys: Sequence[str],
           place: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    """Yield dotted place and value of what a rule's keys lead to."""
    if not keys:
        yield '.'.join(place), node
        return
    items: Sequence[tuple[object, object]]
    if keys[0] == '[]':
        items = list(enumerate(node)) if isinstance(node, (list, tuple)) else []
    elif keys[0] == '*':
        items = list(node.items()) if isinstance(node, dict) else []
    else:
        items = [(key, node[key]) for key in keys[0].split('|')
                 if isinstance(node, dict) and key in node]
    for key, value in items:
        yield from _found(value, keys[1:], (*place, str(key)))


def _refuse(place: str, expected: str, value: object, path: str | Path) -> NoReturn:
    raise UserError(f'{path}: {place} must be {expected}, got '
                    f'{shortened(repr(value), 120)}')
