"""The learning rate of a configuration, and the batch that a run gives it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.runner import Runner


def samples_per_step(runner: Runner) -> int:
    """Return how many samples all processes together see per optimiser step."""
    counts = runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    return runner.world_size * runner.cfg.train_dataloader.batch_size * counts


def describe_mismatch(runner: Runner, cfg_options: Sequence[str] = ()) -> str | None:
    """Say that a run's batch is not the one that the learning rate is for.

    Args:
        runner: Before its training.
        cfg_options: KEY=VALUE texts; one that sets the learning
            rate is consent.

    Returns:
        None where they agree, where the rate was set or will be
        scaled, or where the configuration does not tell.
    """
    settings = runner.cfg.get('auto_scale_lr') or {}
    base, here = settings.get('base_batch_size'), samples_per_step(runner)
    if base in (None, here) or settings.get('enable') or any(
            option.startswith('optim_wrapper.optimizer.lr=') for option in cfg_options):
        return None
    rate = runner.cfg.optim_wrapper.optimizer.lr
    return (f'the learning rate {rate:g} is for {base} samples per step '
            f'(auto_scale_lr.base_batch_size), and this run takes {here}: '
            f'{runner.world_size} process(es) x '
            f'{runner.cfg.train_dataloader.batch_size} samples. Add --auto-scale-lr '
            f'to train with {rate * here / base:g}, or choose one with --cfg-options '
            'optim_wrapper.optimizer.lr=RATE')


def scale_schedule(runner: Runner) -> None:
    """Let the schedule's absolute rates follow ``auto_scale_lr`` as well.

    mmengine scales the optimiser's rate alone, so that a cyclic schedule whose
    peak is written as a number, as mmdet3d's are, would climb to the peak of
    the large batch. As mmengine does, it counts processes and batch size.

    Args:
        runner: Before its training.
    """
    factor = (runner.world_size * runner.cfg.train_dataloader.batch_size
              / runner.cfg.auto_scale_lr.base_batch_size)
    schedules = runner.param_schedulers
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        if isinstance(schedule, dict) and str(schedule.get('type')).endswith('LR'):
            for key in ('eta_min', 'eta_max'):
                if schedule.get(key):
                    schedule[key] = schedule[key] * factor
