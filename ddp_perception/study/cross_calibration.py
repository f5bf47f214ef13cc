"""Calibration at a temperature that was fitted to the other half of the images."""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ddp_perception.evaluation import (
    CellSubsample,
    calibration_measures,
    pool_counts,
)
from ddp_perception.heads import calibrated
from ddp_perception.study.tasks import Task

CELLS = 4096
"""Cells of an image that a temperature is fitted to, at most."""


class CrossCalibration:
    """Keep what is predicted, to calibrate either half of it by the other.

    The halves are the first and the last images, so that neighbours of a drive are
    in one of them.

    Args:
        task: what is predicted.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._predicted: list[tuple[Tensor, Tensor]] = []

    def add(self, scores: Tensor, truth: Tensor) -> None:
        """Keep scores (K, Y, X) and truth (k, Y, X) of an image."""
        self._predicted.append((scores, truth))

    def ece(self) -> float | None:
        """Return the mean ECE over the groups of classes; None of a single image."""
        middle = len(self._predicted) // 2
        halves = self._predicted[:middle], self._predicted[middle:]
        if not all(halves):
            return None
        counts = []
        for fitted, half in (halves, halves[::-1]):
            temperature = temperature_of(self.task, fitted)
            counts += [self.task.counts(calibrated(
                scores, temperature, self.task.outcome, logits=self.task.logits), truth)
                for scores, truth in half]
        return float(calibration_measures(pool_counts(counts))['ece'].mean())


def temperature_of(task: Task, predicted: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Fit the temperature of each group.

    Args:
        task: what is predicted.
        predicted: scores (K, Y, X) and truth (k, Y, X) of images that were not
            trained on.

    Returns:
        (1, ) or, for overlapping classes, (classes, ).
    """
    kept = CellSubsample(CELLS)
    for scores, truth in predicted:
        kept.add(*task.fitted(scores, truth))
    return torch.tensor([fit.temperature for fit in kept.fits()])
