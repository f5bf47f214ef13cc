"""What a study asks of a task: classes of pixels, or maps of overlapping classes."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from ddp_perception.diffusion import Classes, Outcome, Presences
from ddp_perception.evaluation.calibration_cells import (
    LEAST_PROBABILITY,
    Cells,
    class_cells,
    multi_label_cells,
)
from ddp_perception.evaluation.calibration_counts import CalibrationCounts, count_cells
from ddp_perception.evaluation.map_iou import THRESHOLDS, count_map, map_iou
from ddp_perception.visualization.panels import IGNORED, Swatch


@dataclass(frozen=True)
class Task(ABC):
    """How predictions of a task are learned, compared with truth and drawn.

    Args:
        classes: their names.
        palette: one RGB triple of 0 to 255 per class.

    Attributes:
        truth_field: of a data sample.
        outcome: what a prediction says of a cell.
        logits: whether `scores` are logits, not probabilities.

    Shape:
        features: (B, C, H, W); truth: (B, k, Y, X) uint8.
        steps: one (B, S, K, h, w) per decoder pass, of the head's own.
        scores: (B, K, Y, X), of the size of the truth.
    """

    classes: tuple[str, ...]
    palette: tuple[tuple[int, ...], ...]
    truth_field: ClassVar[str]
    outcome: ClassVar[Outcome]
    logits: ClassVar[bool]

    def loss(self, head: Any, feats: Tensor, truth: Tensor) -> Tensor:
        """Return the sum of the head's losses of a batch."""
        losses = head.loss(self._inputs(feats), self._samples(truth), *self._further())
        return sum(value for name, value in losses.items() if 'loss' in name)

    def steps(self, head: Any, feats: Tensor) -> list[Tensor]:
        """Return what every pass of a head predicts; a plain head has one."""
        if hasattr(head, 'prediction_steps'):
            return head.prediction_steps(feats)
        return [head(self._inputs(feats))[:, None]]

    @abstractmethod
    def scores(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (B, K, *size) scores of (B, S, K, h, w): the mean over S."""

    @abstractmethod
    def areas(self, scores: Tensor, truth: Tensor) -> np.ndarray:
        """Count the cells of one image for its IoU; counts of images can be added."""

    @abstractmethod
    def iou(self, areas: np.ndarray) -> float:
        """Return the mean IoU of pooled areas, percent."""

    @abstractmethod
    def image_iou(self, areas: np.ndarray) -> float:
        """Return the mean IoU over the classes of one image; NaN without any."""

    @abstractmethod
    def masks(self, scores: Tensor) -> Tensor:
        """Return where one image's scores (K, Y, X) decide for each class, bool."""

    @abstractmethod
    def truth_masks(self, truth: Tensor) -> Tensor:
        """Return where each class is in one image's truth (k, Y, X), bool."""

    @abstractmethod
    def cells(self, scores: Tensor, truth: Tensor) -> tuple[Cells, Tensor]:
        """Return the cells of one image, and which of (groups, Y, X) they are."""

    @abstractmethod
    def fitted(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (K, N) and labels of one image, to fit temperatures to."""

    @abstractmethod
    def paint(self, scores: Tensor) -> np.ndarray:
        """Return a picture, (H, W, 3) uint8, of one image's scores (K, Y, X)."""

    @abstractmethod
    def paint_truth(self, truth: Tensor) -> np.ndarray:
        """Return a picture of one image's truth (k, Y, X)."""

    def legend(self, truth: Tensor) -> list[Swatch]:
        """Return what the colours of pictures mean, of truth (B, k, Y, X)."""
        return [Swatch(name, colour) for name, colour in zip(
            self.classes, self.palette, strict=True)]

    def counts(self, scores: Tensor, truth: Tensor, uncertainties: Sequence[Tensor] = ()
               ) -> CalibrationCounts:
        """Count the cells of one image by probability and uncertainty.

        Args:
            scores: (K, Y, X).
            truth: (k, Y, X).
            uncertainties: (groups, Y, X) each.
        """
        cells, counted = self.cells(scores, truth)
        return count_cells(cells, [values[counted] for values in uncertainties],
                           self.outcome.groups(len(scores)))

    def _inputs(self, feats: Tensor) -> Any:
        return feats

    def _further(self) -> tuple:
        return ()

    @abstractmethod
    def _labels(self, truth: Tensor) -> Tensor:
        """Return truth as a data sample holds it."""

    def _samples(self, truth: Tensor) -> list[BaseDataElement]:
        samples = []
        for labels in self._labels(truth):
            sample = BaseDataElement()
            sample.set_field(PixelData(data=labels), self.truth_field)
            samples.append(sample)
        return samples


@dataclass(frozen=True)
class SegmentationTask(Task):
    """One class per pixel, with heads of mmseg's kind.

    Args:
        classes, palette: see the base.
        ignore_index: label of pixels that do not count.
    """

    ignore_index: int = 255
    truth_field = 'gt_sem_seg'
    outcome = Classes()
    logits = True

    def scores(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the mean logits, resized."""
        return F.interpolate(prediction.mean(1), size, mode='bilinear',
                             align_corners=False)

    def areas(self, scores: Tensor, truth: Tensor) -> np.ndarray:
        """Return (4, K): intersection, union, prediction and truth."""
        from mmseg.evaluation import IoUMetric
        return torch.stack(IoUMetric.intersect_and_union(
            scores.argmax(0), truth[0].long(), len(self.classes),
            self.ignore_index)).double().cpu().numpy()

    def iou(self, areas: np.ndarray) -> float:
        """Return mmseg's mIoU: over the classes that occur."""
        from mmseg.evaluation import IoUMetric
        metrics = IoUMetric.total_area_to_metrics(*torch.from_numpy(areas), ['mIoU'])
        return 100 * float(np.nanmean(metrics['IoU']))

    def image_iou(self, areas: np.ndarray) -> float:
        """Mean over the classes of prediction or truth."""
        there = areas[1] > 0
        return 100 * float((areas[0][there] / areas[1][there]).mean()) \
            if there.any() else float('nan')

    def masks(self, scores: Tensor) -> Tensor:
        """Return the greatest class of each pixel as masks."""
        return self.truth_masks(scores.argmax(0)[None])

    def truth_masks(self, truth: Tensor) -> Tensor:
        """Return the labels as masks; ignored pixels are in none."""
        return truth == torch.arange(len(self.classes), device=truth.device
                                     )[:, None, None]

    def cells(self, scores: Tensor, truth: Tensor) -> tuple[Cells, Tensor]:
        """Return the pixels that are not ignored."""
        counted = truth[0] != self.ignore_index
        return class_cells(scores[:, counted], truth[0][counted]), counted[None]

    def fitted(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and labels of the pixels that are not ignored."""
        counted = truth[0] != self.ignore_index
        return scores[:, counted], truth[0][counted].long()

    def paint(self, scores: Tensor) -> np.ndarray:
        """Paint the greatest class."""
        return self._painted(scores.argmax(0))

    def paint_truth(self, truth: Tensor) -> np.ndarray:
        """Paint the classes; ignored pixels are hatched."""
        return self._painted(truth[0])

    def legend(self, truth: Tensor) -> list[Swatch]:
        """Return the classes, and what is ignored where there is any."""
        ignored = (truth == self.ignore_index).any()
        return super().legend(truth) + [IGNORED] * bool(ignored)

    def _painted(self, labels: Tensor) -> np.ndarray:
        from ddp_perception.visualization import overlay_labels
        return overlay_labels(np.zeros((*labels.shape, 3), np.uint8),
                              labels.numpy().astype(np.int64), self.palette,
                              self.ignore_index, opacity=1.)

    def _inputs(self, feats: Tensor) -> list[Tensor]:
        return [feats]

    def _further(self) -> tuple:
        return ({}, )  # mmseg's train_cfg

    def _labels(self, truth: Tensor) -> Tensor:
        return truth.long()


@dataclass(frozen=True)
class MapTask(Task):
    """Overlapping classes of a bird's-eye-view map."""

    truth_field = 'gt_map_seg'
    outcome = Presences()
    logits = False

    def scores(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the mean probabilities; the head's map is that of the truth."""
        return prediction.sigmoid().mean(1)

    def areas(self, scores: Tensor, truth: Tensor) -> np.ndarray:
        """Return (C, thresholds, 3) of `count_map`."""
        return count_map(scores, truth).cpu().numpy()

    def iou(self, areas: np.ndarray) -> float:
        """Return that of `map_iou`: each class at its best threshold."""
        return 100 * map_iou(torch.from_numpy(areas), self.classes)['map/mean/iou@max']

    def image_iou(self, areas: np.ndarray) -> float:
        """Mean over the classes of prediction or truth, at 0.5."""
        counts = areas[:, THRESHOLDS.index(0.5)].astype(float)
        there = counts.sum(-1) > 0
        return 100 * float((counts[there, 0] / counts[there].sum(-1)).mean()) \
            if there.any() else float('nan')

    def masks(self, scores: Tensor) -> Tensor:
        """Return the classes from probability 0.5 on."""
        return scores >= 0.5

    def truth_masks(self, truth: Tensor) -> Tensor:
        """Return the truth."""
        return truth.bool()

    def cells(self, scores: Tensor, truth: Tensor) -> tuple[Cells, Tensor]:
        """Return every cell of every class."""
        return (multi_label_cells(scores.flatten(1), truth.flatten(1)),
                torch.ones_like(truth, dtype=torch.bool))

    def fitted(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of every class, and masks."""
        return scores.double().logit(LEAST_PROBABILITY).flatten(1), truth.flatten(1)

    def paint(self, scores: Tensor) -> np.ndarray:
        """Paint the classes from probability 0.5 on, forward up."""
        return self._painted(self.masks(scores).numpy())

    def paint_truth(self, truth: Tensor) -> np.ndarray:
        """Paint the classes, forward up."""
        return self._painted(truth.numpy())

    def _painted(self, masks: np.ndarray) -> np.ndarray:
        from ddp_perception.visualization import paint_map
        return paint_map(masks, self.classes, self.palette)[::-1]

    def _labels(self, truth: Tensor) -> Tensor:
        return truth
