"""Calibration by what was fitted to the other half of the images."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

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
Predicted = tuple[Tensor, Tensor]
"""Scores (K, Y, X) and truth (k, Y, X) of an image."""
Count = Callable[..., CalibrationCounts]


class CrossCalibration:
    """Keep what is predicted, to calibrate either half of it by the other.

    The halves are the first and the last images, so that neighbours of a drive are
    in one of them.

    Args:
        task: what is predicted.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._predicted: list[Predicted] = []

    def add(self, scores: Tensor, truth: Tensor) -> None:
        """Keep scores (K, Y, X) and truth (k, Y, X) of an image."""
        self._predicted.append((scores, truth))

    def ece(self) -> float | None:
        """Return the mean ECE over the groups of classes; None of a single image."""
        return self._crossed(lambda fitted: partial(
            counts_at, self.task, temperature=temperature_of(self.task, fitted)))

    def ece_with_offsets(self) -> float | None:
        """Return it with an offset of each class beside the temperature."""
        def fit(fitted: Sequence[Predicted]) -> Count:
            temperature, offsets = _kept(self.task, fitted).scaling()
            return partial(counts_at, self.task, temperature=temperature,
                           offsets=offsets)
        return self._crossed(fit)

    def _crossed(self, fit: Callable[[Sequence[Predicted]], Count]) -> float | None:
        middle = len(self._predicted) // 2
        halves = self._predicted[:middle], self._predicted[middle:]
        if not all(halves):
            return None
        counts = []
        for fitted, half in (halves, halves[::-1]):
            count = fit(fitted)
            counts += [count(scores, truth) for scores, truth in half]
        return mean_ece(pool_counts(counts))


def counts_at(task: Task, scores: Tensor, truth: Tensor, temperature: Tensor,
              offsets: Tensor | None = None) -> CalibrationCounts:
    """Count the cells of an image, (K, Y, X) and (k, Y, X), once calibrated."""
    return task.counts(calibrated(scores, temperature, task.outcome, offsets=offsets,
                                  logits=task.logits), truth)


def mean_ece(counts: CalibrationCounts) -> float:
    """Return the ECE, a mean over the groups of classes."""
    return float(calibration_measures(counts)['ece'].mean())


def temperature_of(task: Task, predicted: Iterable[Predicted]) -> Tensor:
    """Fit the temperature of each group.

    Args:
        task: what is predicted.
        predicted: scores (K, Y, X) and truth (k, Y, X) of images that were not
            trained on.

    Returns:
        (1, ) or, for overlapping classes, (classes, ).
    """
    return torch.tensor([fit.temperature for fit in _kept(task, predicted).fits()])


def _kept(task: Task, predicted: Iterable[Predicted]) -> CellSubsample:
    kept = CellSubsample(CELLS)
    for scores, truth in predicted:
        kept.add(*task.fitted(scores, truth))
    return kept
