"""Calibration at a temperature that was fitted to the other half of the images."""
from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ddp_perception.evaluation import (
    CalibrationCounts,
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
            counts += [counts_at(self.task, scores, truth, temperature)
                       for scores, truth in half]
        return mean_ece(pool_counts(counts))


def counts_at(task: Task, scores: Tensor, truth: Tensor, temperature: Tensor
              ) -> CalibrationCounts:
    """Count the cells of an image, (K, Y, X) and (k, Y, X), at a temperature."""
    return task.counts(calibrated(scores, temperature, task.outcome,
                                  logits=task.logits), truth)


def mean_ece(counts: CalibrationCounts) -> float:
    """Return the ECE, a mean over the groups of classes."""
    return float(calibration_measures(counts)['ece'].mean())


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
