"""What is known of a prediction after each decoder pass."""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddp_perception.diffusion.outcomes import Outcome


@dataclass(frozen=True)
class Refinement:
    """The state of a batch after a step.

    Attributes:
        steps: (B, S, C, H, W) predictions so far, one per step; an image that
            has ended keeps its last one.
        taken: (B,) int64 on the CPU, steps that each image has taken.
        going_on: (B,) bool on the CPU, images that take another step.
        seconds: since the features were handed over.
        average: from steps to what the head predicts.
        outcome: what a prediction says of a cell.
    """

    steps: Sequence[Tensor]
    taken: Tensor
    going_on: Tensor
    seconds: float
    average: Callable[[Sequence[Tensor]], Tensor]
    outcome: Outcome

    @property
    def prediction(self) -> Tensor:
        """What the head predicts if it stops here, (B, ...)."""
        return self.average(self.steps)

    @property
    def changed(self) -> Tensor:
        """Share of the cells that this step decided otherwise than the last one.

        (B,) float32, mean over the seeds; NaN after the first step, 0 for an
        image that has ended.
        """
        if len(self.steps) == 1:
            return self.steps[0].new_full((len(self.taken), ), math.nan,
                                          dtype=torch.float32)
        return share_changed(self.steps[-2], self.steps[-1], self.outcome)


@dataclass
class StepCount:
    """How many steps the images of an evaluation took.

    Attributes:
        images: how many were predicted; windows count each.
        steps: sum of their steps.
        seconds: sum of the times from features to predictions.
    """

    images: int = 0
    steps: int = 0
    seconds: float = 0.

    @property
    def mean(self) -> float:
        """Steps per image; NaN before the first."""
        return self.steps / self.images if self.images else math.nan

    def add(self, last: Refinement) -> None:
        """Count a batch that has ended."""
        self.images += len(last.taken)
        self.steps += int(last.taken.sum())
        self.seconds += last.seconds


def clock(values: Tensor, wait: bool = True) -> float:
    """Return the seconds of a clock, once the device has computed some values.

    A GPU is asked for its work long before that is done; a time without waiting
    is that of asking.

    Args:
        values: on the device that is waited for.
        wait: False does not wait, and lets a GPU work while it is asked for more.
    """
    if wait and values.is_cuda:
        torch.cuda.synchronize(values.device)
    return time.perf_counter()


def share_changed(before: Tensor, after: Tensor, outcome: Outcome) -> Tensor:
    """Return the share of cells that two predictions decide differently.

    Args:
        before: (B, S, C, H, W) predictions.
        after: the next ones.
        outcome: what a prediction says of a cell. Of overlapping classes, one
            that differs is enough.

    Returns:
        (B,) float32, mean over seeds and cells.
    """
    differ = outcome.differs(outcome.values(before.float()),
                             outcome.values(after.float()))
    return differ.any(-3).float().mean((1, 2, 3))
