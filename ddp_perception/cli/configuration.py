"""Read a configuration and change what the command line asks for."""
from __future__ import annotations

import argparse
import copy
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError, described, shortened
from ddp_perception.shipped_configs import find_config, shipped_configs, shipped_root

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict

_MOST_BYTES = 1_000_000
_LONGEST_OPTION = 4_000


def load_config(path: str | Path,
                cfg_options: Sequence[str] | Mapping[str, Any] = (),
                data_root: str | Path | None = None) -> Config:
    """Read a configuration file.

    Args:
        path: The file, or what `find_config` finds one by.
        cfg_options: KEY=VALUE texts; or a dictionary, as OpenMMLab's `init_model`
            takes it.
        data_root: Replaces every data root.

    Returns:
        The configuration, with the changes.

    Raises:
        UserError: the file is missing or cannot be read, an option is not
            KEY=VALUE or has no place, or a setting is of the wrong kind.
    """
    from ddp_perception.cli.setting_rules import require_settings
    path = find_config(path)
    cfg = _read_config(path)
    if cfg_options:
        _merge_options(cfg, path, cfg_options)
    require_settings(cfg, path)
    if data_root is not None:
        set_data_root(cfg, data_root)
    return cfg


def _read_config(path: Path) -> Config:
    from mmengine.config import Config

    from ddp_perception.cli.bounded_yaml import use_bounded_yaml
    use_bounded_yaml()
    if not path.is_file():
        raise UserError(f'configuration {path} does not exist{_near(path)}')
    if path.suffix not in ('.py', '.json', '.yaml', '.yml'):
        raise UserError(f'configuration {path} must be a .py, .json or .yaml '
                        'file; is it the checkpoint? The order is CONFIG '
                        'CHECKPOINT')
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise UserError(f'configuration {path} has {size:,} bytes, more than '
                        f'{_MOST_BYTES:,}; is it one?')
    try:
        return Config.fromfile(str(path))
    except (Exception, SystemExit) as error:  # what its own code may raise
        cause: BaseException = error
        if isinstance(error, ImportError) and error.__cause__:
            cause = error.__cause__  # of custom_imports, whose text has no name
        reason = ('it, or one of its _base_, is a _base_ of itself'
                  if isinstance(cause, RecursionError) else described(cause))
        raise UserError(f'configuration {path} cannot be read: {reason}'
                        ) from cause


def _near(path: Path) -> str:
    """Say what there is in place of a configuration that does not exist."""
    near = sorted(str(file) for file in path.parent.glob('*.py')
                  if path.parent.name and file.stem != '__init__')[:8]
    if near:
        return '; that folder has ' + ', '.join(near)
    shipped = [file.stem for file in shipped_configs()]
    close = get_close_matches(path.name.removesuffix('.py'), shipped)
    where = f' ({shipped_root()}/projects/*/configs)' if shipped else ''
    return f', neither here nor among those of the package{where}' + (
        '; is it ' + ' or '.join(close) + '?' if close else '')


def _merge_options(cfg: Config, path: Path,
                   cfg_options: Sequence[str] | Mapping[str, Any]) -> None:
    """Change a configuration in place as KEY=VALUE texts or a dictionary say."""
    from mmengine.config import DictAction

    from ddp_perception.cli.setting_rules import require_known_options
    if isinstance(cfg_options, Mapping):
        single: dict[str, Sequence[str] | Mapping[str, Any]] = {
            f'{key}={value!r}': {key: value} for key, value in cfg_options.items()}
    else:
        single = {text: [text] for text in cfg_options}
    bad = [option for option in single if '=' not in option]
    if bad:
        raise UserError('--cfg-options takes KEY=VALUE, got '
                        f'{shortened(repr(bad[0]))}')
    long = [option for option in single if len(option) > _LONGEST_OPTION]
    if long:
        raise UserError(f'--cfg-options: {shortened(long[0], 60)} has more than '
                        f'{_LONGEST_OPTION} characters; write a configuration')
    require_known_options(cfg, [text.partition('=')[0] for text in single])

    def merge(options: Sequence[str] | Mapping[str, Any], into: Config) -> None:
        if isinstance(options, Mapping):
            changes = dict(options)
        else:
            namespace = argparse.Namespace(options=None)
            DictAction(['--cfg-options'], 'options')(None, namespace, options)
            changes = namespace.options
        into.merge_from_dict(changes)

    errors = (KeyError, TypeError, IndexError, ValueError, AttributeError,
              AssertionError, RecursionError)  # what misplaced keys raise there
    try:
        merge(cfg_options, cfg)
    except errors as error:
        for text in single:  # which of them is it?
            try:
                merge(single[text], copy.deepcopy(cfg))
            except errors:
                break
        else:
            text = ' '.join(single)
        raise UserError(f'--cfg-options {shortened(text, 80)} does not fit '
                        f'{path}: {described(error)}') from error


def require_keys(cfg: Config, path: str | Path, keys: Sequence[str],
                 done: str) -> None:
    """Raise unless a configuration has some keys.

    Args:
        cfg: The configuration.
        path: For the message.
        keys: What must be there.
        done: What the command does with a configuration: 'tested'.

    Raises:
        UserError: names the missing ones.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise UserError(f'{path} cannot be {done}: it has no {", ".join(missing)}')


def set_data_root(cfg: Config, root: str | Path) -> None:
    """Replace the data root everywhere in a configuration.

    Every ``data_root`` becomes `root`, and every text that begins with an old
    one (a metric's annotation file, say) moves along.

    Args:
        cfg: Changed in place.
        root: The new root.
    """
    content = cfg._cfg_dict
    old = sorted({value.rstrip('/') for value in _data_roots(content)},
                 key=len, reverse=True)
    _replace_root(content, old, str(root).rstrip('/') or '/')


def _data_roots(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'data_root' and isinstance(value, str):
                if value.strip('./'):
                    yield value
            else:
                yield from _data_roots(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _data_roots(value)


def _replace_root(node: Any, old: Iterable[str], new: str) -> Any:
    """Replace in place where possible; return the node to store."""
    if isinstance(node, dict):
        for key in list(node):
            if key == 'data_root' and isinstance(node[key], str):
                node[key] = new + '/' * node[key].endswith('/')
            elif key != 'type':  # no path, though a root may be named like one
                node[key] = _replace_root(node[key], old, new)
        return node
    if isinstance(node, (list, tuple)):
        return type(node)(_replace_root(value, old, new) for value in node)
    if isinstance(node, str):
        for root in old:
            if node.rstrip('/') == root or node.startswith(root + '/'):
                return new + node[len(root):]
    return node


def innermost_dataset(dataset: dict) -> dict:
    """Return a data set's settings from inside wrappers (CBGS, repeat)."""
    return unwrapped(dataset)[0]


def unwrapped(dataset: dict) -> tuple[dict, int]:
    """Return `innermost_dataset` and how many wrappers are around it."""
    depth = 0
    while 'dataset' in dataset and 'ann_file' not in dataset:
        dataset, depth = dataset['dataset'], depth + 1
    return dataset, depth


def bare_model_settings(cfg: Config) -> ConfigDict:
    """Return the model's settings from inside test-time augmentation."""
    model = cfg.model
    while 'module' in model:
        model = model['module']
    return model


def head_settings(cfg: Config) -> ConfigDict | None:
    """Return the settings of the head that predicts, or None without one."""
    model = bare_model_settings(cfg)
    head = model.get('seg_head') or model.get('decode_head')
    # Of a cascade the last one predicts.
    return head[-1] if isinstance(head, list) else head


def default_work_dir(cfg: Config, config_path: str | Path,
                     work_dir: str | Path | None = None) -> None:
    """Set where logs and checkpoints go: option, configuration, or by name."""
    cfg.work_dir = str(work_dir or cfg.get('work_dir')
                       or Path('work_dirs') / Path(config_path).stem)


_TRACKERS = {'tensorboard': 'TensorboardVisBackend', 'wandb': 'WandbVisBackend'}


def use_tracker(cfg: Config, name: str) -> None:
    """Let the run hand its losses, figures and settings to a tracker too.

    Args:
        cfg: Changed in place; backends that are there stay.
        name: 'tensorboard', which writes event files into the work directory, or
            'wandb', whose run is named like the work directory where the
            configuration gives it no name.

    Raises:
        UserError: the package is missing.
    """
    try:
        importlib.import_module(name)
    except ImportError:
        raise UserError(f'--{name} needs the package {name}: pip install {name}'
                        ) from None
    if not cfg.get('visualizer'):
        cfg.visualizer = {'type': 'Visualizer',
                          'vis_backends': [{'type': 'LocalVisBackend'}]}
    backends = list(cfg.visualizer.get('vis_backends') or [])
    if not any(_TRACKERS[name] in str(b['type']) for b in backends):
        backend: dict[str, Any] = {'type': _TRACKERS[name]}
        if name == 'wandb':
            backend['init_kwargs'] = {'name': Path(cfg.work_dir).resolve().name}
        backends.append(backend)
    cfg.visualizer.vis_backends = backends


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 on a GPU, bfloat16 on a CPU."""
    if 'AmpOptimWrapper' not in str(cfg.optim_wrapper.get('type', '')):
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def adapt_amp(cfg: Config) -> bool:
    """Replace mmengine's mixed precision by ours where there is no GPU.

    Configurations that ask for `AmpOptimWrapper` then train on a CPU too.

    Returns:
        Whether something was replaced.
    """
    import torch
    wrapper = cfg.get('optim_wrapper') or {}
    if torch.cuda.is_available() or wrapper.get('type') != 'AmpOptimWrapper':
        return False
    wrapper['type'] = 'ddp.CPUAmpOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        wrapper.pop(key, None)
    return True


def make_resumable(cfg: Config) -> None:
    """Let an interrupted run lose nothing, and go on as if it had not been.

    Adds `ddp.IterationSeedHook` and `ddp.MissedValidationHook`, and puts
    `ddp.CheckpointHook` in the place of mmengine's.
    """
    _add_hook(cfg, 'ddp.IterationSeedHook')
    _add_hook(cfg, 'ddp.MissedValidationHook')
    custom = [dict(hook) for hook in cfg.custom_hooks]
    default = dict(cfg.get('default_hooks') or {})
    default.setdefault('checkpoint', {'type': 'CheckpointHook'})
    for hook in (*custom, *default.values()):
        if hook and hook['type'] in ('CheckpointHook', 'mmengine.CheckpointHook'):
            hook['type'] = 'ddp.CheckpointHook'
    cfg.custom_hooks, cfg.default_hooks = custom, default


def share_buffers(cfg: Config) -> None:
    """Let every process evaluate the model that is saved."""
    _add_hook(cfg, 'ddp.BroadcastBuffersHook')


def report_passes(cfg: Config) -> None:
    """Let the log say which decoder passes the figures average."""
    _add_hook(cfg, 'ddp.DecoderPassesHook')


def _add_hook(cfg: Config, kind: str) -> None:
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(hook['type'] == kind for hook in hooks):
        hooks.append({'type': kind})
    cfg.custom_hooks = hooks


def evaluator_settings(cfg: Config) -> list[Mapping[str, Any]]:
    """Return the settings of each metric of the test."""
    settings = cfg.test_evaluator
    return list(settings) if isinstance(settings, (list, tuple)) else [settings]


def bare_name(part: Mapping[str, Any]) -> str:
    """Return the name of a part's type, without the scope of its registry."""
    kind = part['type']
    return (kind if isinstance(kind, str) else kind.__name__).rsplit('.', 1)[-1]


def _is_diffusion_head(kind: str | type) -> bool:
    """Whether a type, by its name in the configuration, samples."""
    from ddp_perception.heads import DiffusionHead
    from ddp_perception.registry import MODELS
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(found, type) and issubclass(found, DiffusionHead)


def set_sampling(cfg: Config, changes: Mapping[str, Any],
                 seed: int | None = None) -> None:
    """Change the sampler of the diffusion head, of any task.

    Args:
        cfg: Changed in place.
        changes: Options of `Sampler`; see `arguments.sampling_changes`.
        seed: Of the noise. Ignored where the head does not
            sample.

    Raises:
        UserError: the sampler takes no such value, or the head does not
            sample.
    """
    from ddp_perception.diffusion import Sampler
    head = head_settings(cfg)
    if not head or not _is_diffusion_head(head['type']):
        if not changes:
            return
        raise UserError(f'--{next(iter(changes)).replace("_", "-")} needs a diffusion '
                        'head; the configuration has '
                        f'{head["type"] if head else "no seg_head or decode_head"}')
    for name, value in changes.items():
        try:
            Sampler(**{'num_seeds': 2, name: value})
        except ValueError as error:
            raise UserError(f'--{name.replace("_", "-")}: {error}') from None
    changes = dict(changes)
    if seed is not None:
        changes['seed'] = seed
    if changes:
        head['sampler'] = {**(head.get('sampler') or {}), **changes}
