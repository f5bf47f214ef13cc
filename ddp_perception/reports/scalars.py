"""Training curves of mmengine's ``vis_data/scalars.json``, resumed runs joined."""
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ddp_perception.reports.tables import number

COUNTERS = ('epoch', 'iter', 'step')
MOST_STEPS = 10 ** 12
TIMES = ('time', 'data_time')
"""Seconds per iteration and of loading; of an evaluation they say nothing."""


@dataclass
class Logged:
    """One line: figures of some training iterations or of a validation.

    Args:
        step: iteration, or for validations what the run counts: epoch or iteration.
        reached: iteration of the last line about training up to here; 0 if none.
        values: figures by name.
        epoch: of training, where the run counts epochs.
    """

    step: int
    reached: int
    values: dict[str, float]
    is_validation: bool
    epoch: int | None = None


@dataclass
class Series:
    """A curve.

    Args:
        steps: ascending.
        values: one per step.
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def at(self, step: int) -> float | None:
        """Return the value at a step, None where there is none."""
        return self.values[self.steps.index(step)] if step in self.steps else None

    @property
    def least(self) -> tuple[float, int]:
        """Least value and its first step."""
        return min(zip(self.values, self.steps))

    @property
    def greatest(self) -> tuple[float, int]:
        """Greatest value and its first step."""
        return max(zip(self.values, self.steps), key=lambda pair: (pair[0], -pair[1]))


@dataclass
class Curves:
    """All curves of a training.

    Args:
        training: by name, over iterations.
        validation: by name, over `unit`.
        unit: 'epoch' or 'iteration'.
        iterations: last iteration that was logged, 0 if none.
        epoch: the last one, where the run counts epochs.
    """

    training: dict[str, Series] = field(default_factory=dict)
    validation: dict[str, Series] = field(default_factory=dict)
    unit: str = 'iteration'
    iterations: int = 0
    epoch: int | None = None


def read_scalars(path: Path) -> tuple[list[Logged], str]:
    """Read a file of scalars, one JSON object a line.

    Args:
        path: the file.

    Returns:
        What could be read, and what could not, in words; '' if all could.
    """
    lines: list[Logged] = []
    damaged: list[int] = []
    reached = total = 0
    with path.open(encoding='utf-8', errors='replace') as file:
        for total, text in enumerate(file, 1):  # noqa: B007
            if not text.strip():
                continue
            line = _parsed(text, reached)
            if line is None:
                damaged.append(total)
            else:
                reached = line.reached
                lines.append(line)
    if not damaged:
        return lines, ''
    verb = 'line is' if len(damaged) == 1 else 'lines are'
    return lines, (f'{len(damaged)} of {total} {verb} damaged and left out, '
                   f'the first is line {damaged[0]}')


def _parsed(text: str, reached: int) -> Logged | None:
    try:
        line = json.loads(text)
        step = _count(line['step'])
        epoch = None if line.get('epoch') is None else _count(line['epoch'])
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError,
            OverflowError):
        return None
    values = {str(key): float(value) for key, value in line.items()
              if key not in COUNTERS and number(value) is not None}
    if 'iter' not in line:
        return Logged(step, reached, {key: value for key, value in values.items()
                                      if key not in TIMES}, True)
    return Logged(step, step, values, False, epoch)


def _count(value: float) -> int:
    count = int(value)
    if not 0 <= count < MOST_STEPS:
        raise ValueError(f'no step has the number {count}')
    return count


def join(runs: Sequence[Sequence[Logged]]) -> Curves:
    """Join the runs of one training.

    A later run continues where its first line says; what an earlier one did
    beyond that was lost, or belongs to a training that was started anew.

    Args:
        runs: lines of each, in the order of their starts.
    """
    kept: list[Logged] = []
    for run in runs:
        first = next((line.step for line in run if not line.is_validation), None)
        if first is not None:
            kept = [line for line in kept if line.reached < first]
        kept += run
    training = [line for line in kept if not line.is_validation]
    validation = [line for line in kept if line.is_validation]
    epochs = [line.epoch for line in training if line.epoch is not None]
    counts_epochs = bool(epochs) and all(
        line.step <= max(epochs) for line in validation)
    return Curves(_series(training), _series(validation),
                  'epoch' if counts_epochs else 'iteration',
                  max((line.step for line in training), default=0),
                  max(epochs, default=None))


def _series(lines: Iterable[Logged]) -> dict[str, Series]:
    """Return a curve per name; of several values at a step the last counts."""
    points: dict[str, dict[int, float]] = {}
    for line in lines:
        for name, value in line.values.items():
            points.setdefault(name, {})[line.step] = value
    return {name: Series(sorted(values), [values[step] for step in sorted(values)])
            for name, values in points.items()}
