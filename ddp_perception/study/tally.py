"""The figures of one way to predict, pooled over all images."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from statistics import fmean

import cv2
import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.diffusion import uncertainty
from ddp_perception.diffusion.uncertainty import OF_SEVERAL_PASSES
from ddp_perception.evaluation import (
    CalibrationCounts,
    pool_counts,
    ranking_measures,
)
from ddp_perception.study.cross_calibration import (
    CrossCalibration,
    counts_at,
    mean_ece,
)
from ddp_perception.study.tasks import Task


class Tally:
    """Count what one evaluation predicts.

    Args:
        task: what is predicted.
        calibration: count probabilities and uncertainties too.
        temperature: of each group; counts them at this one as well.

    Figures, by name: ``iou``, percent, pooled over the images. With several
    seeds ``best_iou`` and ``mean_iou``, percent: the best and the mean seed of an
    image, averaged over the images, and ``areas``, the number of connected areas
    of a seed's classes in an image, with ``truth_areas``, that of the truth: a
    ragged map has more. With ``calibration`` also ``ece``,
    ``ece_scaled`` where there is a temperature, ``ece_halves`` and ``ece_offsets``
    of two images and more (`CrossCalibration`), and ``auroc_<kind>`` of each
    uncertainty for wrong cells, ``auroc`` being the greatest.
    """

    def __init__(self, task: Task, calibration: bool = False,
                 temperature: Tensor | None = None) -> None:
        self.task, self.calibration, self.temperature = task, calibration, temperature
        self._areas: list[np.ndarray] = []
        self._best: list[float] = []
        self._mean: list[float] = []
        self._connected: list[float] = []
        self._truly: list[float] = []
        self._counts: list[CalibrationCounts] = []
        self._scaled: list[CalibrationCounts] = []
        self._halves = CrossCalibration(task)
        self._kinds: tuple[str, ...] = ()

    def add(self, steps: Sequence[Tensor], truth: Tensor) -> None:
        """Count a batch: (B, S, K, h, w) of each step, and (B, k, Y, X)."""
        size = (truth.shape[-2], truth.shape[-1])
        last, task = steps[-1], self.task
        scores = task.scores(last, size)
        seeds = [task.scores(last[:, [seed]], size) for seed in range(last.shape[1])] \
            if last.shape[1] > 1 else []
        uncertain: Mapping[str, Tensor] = {}
        if self.calibration:
            uncertain = self._uncertainties(steps, size)
            self._kinds = tuple(uncertain)
        for index, labels in enumerate(truth):
            self._areas.append(task.areas(scores[index], labels))
            if seeds:
                self._connected.append(fmean(
                    connected_areas(task.masks(one[index])) for one in seeds))
                self._truly.append(connected_areas(task.truth_masks(labels)))
                ious = [task.image_iou(task.areas(one[index], labels)) for one in seeds]
                if not np.isnan(ious).any():
                    self._best.append(max(ious))
                    self._mean.append(fmean(ious))
            if self.calibration:
                self._counts.append(task.counts(
                    scores[index], labels,
                    [values[index] for values in uncertain.values()]))
                self._halves.add(scores[index], labels)
            if self.temperature is not None:
                self._scaled.append(counts_at(task, scores[index], labels,
                                              self.temperature))

    def _uncertainties(self, steps: Sequence[Tensor], size: tuple[int, int]
                       ) -> dict[str, Tensor]:
        """Return (B, groups, *size) by kind."""
        several = len(steps) > 1 or steps[-1].shape[1] > 1
        kinds = ('entropy', *(OF_SEVERAL_PASSES if several else ()))
        return {kind: F.interpolate(
            uncertainty(kind, steps, self.task.outcome), size, mode='bilinear',
            align_corners=False) for kind in kinds}

    def figures(self) -> dict[str, float]:
        """Return the figures; see the class."""
        found = {'iou': self.task.iou(np.sum(self._areas, 0))}
        if self._best:
            found |= {'best_iou': fmean(self._best), 'mean_iou': fmean(self._mean)}
        if self._connected:
            found |= {'areas': fmean(self._connected),
                      'truth_areas': fmean(self._truly)}
        if self._counts:
            counts = pool_counts(self._counts)
            found['ece'] = mean_ece(counts)
            ranked = {f'auroc_{kind}': ranking_measures(table)['auroc']
                      for kind, table in zip(self._kinds, counts.ranked, strict=True)}
            known = [value for value in ranked.values() if value == value]
            found |= {**ranked, 'auroc': max(known) if known else nan}
            for name, value in (('ece_halves', self._halves.ece()),
                                ('ece_offsets', self._halves.ece_with_offsets())):
                if value is not None:
                    found[name] = value
        if self._scaled:
            found['ece_scaled'] = mean_ece(pool_counts(self._scaled))
        return found


def connected_areas(masks: Tensor) -> int:
    """Count the areas of masks whose cells touch, by sides or corners.

    Args:
        masks: (K, Y, X) bool.
    """
    return sum(cv2.connectedComponents(mask, connectivity=8)[0] - 1  # the rest is one
               for mask in masks.cpu().numpy().astype(np.uint8))
