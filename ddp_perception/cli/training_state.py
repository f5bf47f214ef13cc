"""Refuse a training state that cannot be gone on with, before the first iteration.

What a checkpoint holds beside the weights goes into loops, hooks, optimizers and
schedules unlooked at: mmengine writes it and trusts that nobody else does.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError, described, shortened

if TYPE_CHECKING:
    from mmengine.runner import Runner
    from torch.optim import Optimizer

MOST_STEPS = 10 ** 12
"""Epochs or iterations of a training; it and its seed stay 64-bit numbers."""
_HUB = ('log_scalars', 'runtime_info', 'resumed_keys')
_LIKE_PARAMETERS = {'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer',
                    'exp_avg_diff', 'square_avg', 'grad_avg', 'sum', 'acc_delta'}
"""States of torch's optimizers with a number for each of the parameter's."""
_RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError,
           TypeError, ValueError)


def require_training_state(content: Mapping[str, Any], path: str | Path) -> None:
    """Raise unless a checkpoint says how far its training was, and in mmengine's way.

    Args:
        content: Of the file.
        path: Of the file, for the message.

    Raises:
        UserError: names the file, the entry and what was expected.
    """
    problem = next(_problems(content), None)
    if problem:
        raise UserError(f'checkpoint {path} cannot be resumed: {problem}')


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    meta: Any = content.get('meta')
    hub: Any = content.get('message_hub')
    yield from _odd('meta', meta, _is_table, 'a dictionary')
    for name in ('epoch', 'iter'):
        if name not in meta:
            yield f'it does not say how far its training was (no meta.{name})'
        yield from _odd(f'meta.{name}', meta[name], _is_count,
                        f'a whole number from 0 to {MOST_STEPS}')
    yield from _odd('meta.seed', meta.get('seed'),
                    lambda seed: seed is None or _is_count(seed) and seed < 2 ** 32,
                    'a whole number from 0 to 2^32 - 1')
    yield from _odd('message_hub', hub,
                    lambda hub: _is_table(hub) and all(map(_is_table, map(
                        hub.get, _HUB))), f'a dictionary of those of {", ".join(_HUB)}')
    yield from _odd('curves', content.get('curves', {}), _is_table, 'a dictionary')
    yield from _odd('message_hub.resumed_keys', hub['resumed_keys'],
                    lambda keys: all(isinstance(one, bool) for one in keys.values()),
                    'a dictionary of True and False')
    for names in map(hub.get, _HUB):
        yield from (f'message_hub has {shortened(repr(name), 60)}, which is no name'
                    for name in names if not _is_text(name))
    for name, value in hub['runtime_info'].items():
        for begin, fits, wanted in _NOTES:
            if name.startswith(begin):
                yield from _odd(f'message_hub.runtime_info.{name}', value, fits,
                                wanted)
    if 'optimizer' in content:
        yield from _odd('optimizer', content['optimizer'], _is_table, 'a dictionary')
    yield from _odd('param_schedulers', content.get('param_schedulers', []),
                    lambda value: isinstance(value, (list, Mapping)),
                    'a list or a dictionary')


def _odd(name: str, value: Any, fits: Callable[[Any], bool], wanted: str
         ) -> Iterator[str]:
    if not fits(value):
        yield f'{name} must be {wanted}, got {shortened(repr(value), 60)}'


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_STEPS


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    import torch
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and bool(value.isfinite())
    return isinstance(value, Real) and math.isfinite(value)


def _are(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, (str, bytes, Mapping)) and hasattr(
        value, '__iter__') and all(map(kind, value))


_NOTES = (('keep_ckpt_ids', _are(_is_count), 'whole numbers'),
          ('outdated_ckpts', _are(_is_text), 'names of files'),
          ('last_ckpt', _is_text, 'the name of a file'),
          ('best_ckpt', _is_text, 'the name of a file'),
          ('best_score', _is_number, 'a number'))
"""What hooks read: how names begin, whether a value fits, and what would."""


def name_odd_states(run_: Runner, path: str | Path) -> None:
    """Let a Runner say in one message what of a training state does not fit.

    Args:
        run_: Before it trains; its `resume` is replaced.
        path: Checkpoint that it resumes from, for the message.
    """
    resume = run_.resume

    def checked(*args: Any, **options: Any) -> None:
        groups = [[dict(group) for group in optimizer.param_groups]
                  for optimizer in _optimizers(run_)]
        plans = [dict(vars(scheduler)) for scheduler in _schedulers(run_)]
        try:
            resume(*args, **options)
        except _RAISED as error:
            raise UserError(f'the training state in {path} does not fit this '
                            f'configuration: {described(error)}') from error
        problem = next(_misfits(run_, groups, plans), None)
        if problem:
            raise UserError(f'the training state in {path} does not fit this '
                            f'configuration: {problem}')

    run_.resume = checked


def _misfits(run_: Runner, groups: list[list[dict]], plans: list[dict]
             ) -> Iterator[str]:
    """Compare what was loaded with what was built from the configuration."""
    for built, optimizer in zip(groups, _optimizers(run_), strict=True):
        for before, group in zip(built, optimizer.param_groups, strict=True):
            yield from _unlike('optimizer.param_groups', before, group, {'params'})
        yield from _odd_moments(optimizer)
        yield from _lost_moments(optimizer)
    for before, scheduler in zip(plans, _schedulers(run_), strict=True):
        loaded = vars(scheduler)
        yield from (f'param_schedulers: {name} is no setting' for name in loaded
                    if name not in before and hasattr(type(scheduler), str(name)))
        yield from _unlike('param_schedulers', before, loaded, {'optimizer'})


def _unlike(place: str, before: Mapping, loaded: Mapping, passed_over: set[str]
            ) -> Iterator[str]:
    for name in before.keys() - passed_over:
        if name not in loaded:
            yield f'{place} has no {name}'
        elif not _alike(before[name], loaded[name]):
            yield (f'{place}: {name} must be like {shortened(repr(before[name]), 60)}, '
                   f'got {shortened(repr(loaded[name]), 60)}')


def _alike(before: Any, loaded: Any) -> bool:
    if before is None or isinstance(before, bool):
        return loaded is None or isinstance(loaded, (bool, Real))
    if isinstance(before, (list, tuple)):
        return isinstance(loaded, (list, tuple)) and len(before) == len(
            loaded) and all(map(_alike, before, loaded))
    if _is_number(before):
        return _is_number(loaded)
    return isinstance(loaded, type(before))


def _odd_moments(optimizer: Optimizer) -> Iterator[str]:
    import torch
    for parameter, state in optimizer.state.items():
        if not isinstance(parameter, torch.Tensor):
            continue  # of a parameter that the model has not
        if not isinstance(state, Mapping):
            yield f'optimizer.state must hold dictionaries, got {type(state).__name__}'
            continue
        for name, value in state.items():
            if name == 'step' and not _is_number(value):
                yield ('optimizer.state: step must be a number, got '
                       f'{shortened(repr(value), 60)}')
            if name in _LIKE_PARAMETERS and value is not None and (
                    getattr(value, 'shape', None) != parameter.shape):
                yield (f'optimizer.state: {name} must have the shape '
                       f'{tuple(parameter.shape)} of its parameter')


def _lost_moments(optimizer: Optimizer) -> Iterator[str]:
    """Say what some parameters of a group have and others lack."""
    for group in optimizer.param_groups:
        states = [state for state in map(optimizer.state.get, group['params']) if state]
        names = {name for state in states for name in state}
        yield from (f'optimizer.state: {name} is missing for one of the parameters'
                    for state in states for name in sorted(names - set(state), key=str)
                    if name in _LIKE_PARAMETERS or name == 'step')


def _optimizers(run_: Runner) -> list[Optimizer]:
    wrapper = run_.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, Mapping) or hasattr(
        wrapper, 'optim_wrappers') else [wrapper]
    return [one.optimizer for one in wrappers]


def _schedulers(run_: Runner) -> list[Any]:
    schedulers = run_.param_schedulers
    if isinstance(schedulers, Mapping):
        return [one for several in schedulers.values() for one in several]
    return list(schedulers or [])
