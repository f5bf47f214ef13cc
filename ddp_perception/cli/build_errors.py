"""Turn what goes wrong between a configuration and its objects into a message.

A model, a data set or a hook that does not take its settings raises deep in
mmengine's registry. Whatever is raised while something is built from settings
is about these settings, so it becomes one line that names them. Data that
cannot be loaded while a run goes on are named likewise; anything else that a
run raises keeps its traceback.
"""
from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ddp_perception.cli.errors import UserError, described, shortened

if TYPE_CHECKING:
    from mmengine.config import Config

_REGISTRY = 'mmengine/registry/build_functions.py'
_RUNNER = 'mmengine/runner/runner.py'
_BUILDERS = ('from_cfg', 'scale_lr', '_init_model_weights')
_PARTS = {'build_train_loop': 'train_cfg', 'build_val_loop': 'val_cfg',
          'build_test_loop': 'test_cfg', 'build_optim_wrapper': 'optim_wrapper',
          'build_param_scheduler': 'param_scheduler', 'build_model': 'model',
          'build_evaluator': 'an evaluator', 'build_dataloader': 'a dataloader',
          'build_visualizer': 'visualizer', 'build_log_processor': 'log_processor'}
_FETCH = 'torch/utils/data/_utils/fetch.py'
_WORKER = ' in DataLoader worker process '
_DEBUG = 'DDP_TRACEBACK=1 in the environment shows where'


@contextmanager
def naming_settings(cfg: Config, path: str | Path) -> Iterator[None]:
    """Turn errors of building and of loading data into messages.

    Args:
        cfg: What things are built from.
        path: Of the configuration, for the message.

    Raises:
        UserError: names the innermost settings, or what the data set says.
    """
    try:
        yield
    except (UserError, NameError, MemoryError, ModuleNotFoundError):
        raise  # a message already, a fault of ours, or handled by `main`
    except Exception as error:
        if _is_own_assertion(error):
            raise
        settings, part = _settings_being_built(error)
        if settings or part:
            place = _place(cfg._cfg_dict, settings) or part or 'something of it'
            raise UserError(f'{path}: {place} cannot be built: '
                            f'{_unknown_type(error) or described(error)} '
                            f'({_DEBUG})') from error
        if collating := _collating_error(error):
            raise UserError(f'{path}: the collate_fn of a dataloader cannot be called: '
                            f'{collating} ({_DEBUG})') from error
        if loading := _loading_error(error):
            raise UserError(f'a sample cannot be loaded: {loading} '
                            f'({_DEBUG})') from error
        raise


def _frames(error: BaseException) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _is_own_assertion(error: BaseException) -> bool:
    frames = _frames(error)
    return isinstance(error, AssertionError) and (
        '/ddp_perception/' in frames[-1].f_code.co_filename.replace('\\', '/'))


def _settings_being_built(
        error: BaseException) -> tuple[list[object], str | None]:
    """Return the settings from outside in, and the Runner's part, or None."""
    settings, part = [], None
    for frame in _frames(error):
        file = frame.f_code.co_filename.replace('\\', '/')
        name = frame.f_code.co_name
        if file.endswith(_REGISTRY):
            settings.append(frame.f_locals.get('cfg'))
        elif file.endswith(_RUNNER) and (
                name in _BUILDERS or name.startswith('build_')):
            part = _PARTS.get(name, part or 'something of it')
    return settings, part


def _unknown_type(error: BaseException) -> str | None:
    """Return what is wrong where mmengine uses a type that it has not found."""
    for frame in _frames(error):
        found = frame.f_locals
        if 'collate_fn_type' in found and not callable(found.get('collate_fn')):
            return (f'the type of its collate_fn, {found["collate_fn_type"]!r:.80}, '
                    'is no known function')
        if 'optimizer_cls' in found and found['optimizer_cls'] is None:
            kind = _type(found['optimizer_cfg'])
            return f'its optimizer.type, {kind!r:.80}, is not known'
    return None


def _place(content: dict, settings: Sequence[object]) -> str:
    """Name settings: the path to them in a configuration, and their type."""
    innermost = settings[-1] if settings else None
    if innermost is None:
        return ''
    named = [one for one in settings if isinstance(one, dict) and one.get('type')]
    found = next((place for place, value in _walk(content)
                  if value is innermost or _alike(value, innermost)), None)
    if found is None and named:
        found = next((place for place, value in _walk(content)
                      if isinstance(value, dict)
                      and value.get('type') == named[-1]['type']), None)
    kind = f' ({_type(named[-1])})' if named else ''
    if found is None and not named:
        return f'{shortened(repr(innermost), 80)}'
    return f'{found or "a part"}{kind}'


def _type(settings: dict) -> str:
    kind = settings['type']
    return kind if isinstance(kind, str) else getattr(kind, '__name__', repr(kind))


def _alike(one: object, other: object) -> bool:
    return type(one) is type(other) and bool(one) and one == other


def _walk(node: object,
          place: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """Yield dotted place and value of everything in a configuration."""
    if place:
        yield '.'.join(place), node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _walk(value, (*place, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _walk(value, (*place, str(index)))


def _collating_error(error: BaseException) -> str | None:
    """Return what the call of a collate_fn raised that does not take its settings."""
    if not isinstance(error, TypeError):
        return None
    text = str(error.args[0]) if error.args else ''
    files = [frame.f_code.co_filename for frame in _frames(error)]
    if _WORKER in text.partition('\n')[0]:
        files = re.findall(r'File "([^"]+)"', text) or files
    if not files[-1].replace('\\', '/').endswith(_FETCH):
        return None
    return shortened(text.splitlines()[-1] if text else described(error))


def _loading_error(error: BaseException) -> str | None:
    """Return what a data set's file raised, or None for any other error."""
    if not isinstance(error, (OSError, ValueError, KeyError)):
        return None
    text = str(error.args[0]) if error.args else ''
    if _WORKER in text.partition('\n')[0]:
        lines = [line for line in text.splitlines() if line and line[0] != ' ']
        return shortened(lines[-1])
    if any(frame.f_code.co_filename.replace('\\', '/').endswith(_FETCH)
           for frame in _frames(error)):
        return described(error)
    return None
