"""Which class is predicted where another one is true."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.evaluation.sample_fields import (
    plane_of,
    tensor_of,
    write_curves,
)
from ddp_perception.pixels import pixel_data
from ddp_perception.registry import METRICS

NOTHING = 'no class'
"""Name of the cells of a map in which no class is."""


def confuse_labels(prediction: Tensor, truth: Tensor, num_classes: int
                   ) -> tuple[Tensor, Tensor]:
    """Count the pixels of each true class by the class that is predicted.

    Args:
        prediction: (H, W) integers, each a class.
        truth: (H, W) integers; what is no class is ignored.
        num_classes: K.

    Returns:
        (K, K) int64 counts, whose rows are true classes, and (K,) pixels of each.

    Raises:
        ValueError: shapes differ, or a prediction that counts is no class.
    """
    if prediction.shape != truth.shape:
        raise ValueError('prediction and truth must have one shape, got '
                         f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
    truth = truth.to(prediction.device).long()
    counted = (truth >= 0) & (truth < num_classes)
    prediction, truth = prediction[counted].long(), truth[counted]
    wrong = prediction[(prediction < 0) | (prediction >= num_classes)]
    if wrong.numel():
        raise ValueError(f'predicted labels must be from 0 to {num_classes - 1}, got '
                         f'{int(wrong[0])}')
    pairs = torch.bincount(truth * num_classes + prediction,
                           minlength=num_classes ** 2)
    counts = pairs.reshape(num_classes, num_classes)
    return counts, counts.sum(1)


def confuse_maps(prediction: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Count the cells of each true class by the classes that are predicted there.

    Classes overlap, so that a cell counts in every pair of a true and a predicted
    class that it has. The last row and column are cells without any class.

    Args:
        prediction: (C, X, Y) bool.
        truth: (C, X, Y), 0 or 1.

    Returns:
        (C + 1, C + 1) int64 counts, whose rows are true classes, and (C + 1,) cells
        of each.

    Raises:
        ValueError: shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError('prediction and truth must have one shape, got '
                         f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
    predicted, true = (
        torch.cat([masks, ~masks.any(0, keepdim=True)]).flatten(1).double()
        for masks in (prediction.bool(), truth.to(prediction.device).bool()))
    return (true @ predicted.T).long(), true.sum(1).long()  # exact below 2^53


@METRICS.register_module()
class ConfusionMetric(BaseMetric):
    """Confusion matrix over a data set, for class labels and overlapping map classes.

    Cells of the set are pooled, not averaged per image. The figures are those of other
    metrics; this one writes its counts into a file.

    Args:
        counts_file: JSON file: ``classes`` (of maps with 'no class' at the end),
            ``counts`` (rows are true classes), ``cells`` (of each true class),
            ``overlapping``, ``threshold`` and ``samples``. ``ddp-perception test``
            draws it beside.
        threshold: probability from which an overlapping class is predicted.
        classes: names; by default the data set's ``classes`` or ``map_classes``.
        collect_device: ``'cpu'`` or ``'gpu'``, for many processes.
        prefix: put before each name.

    Reads pred_map_seg (probabilities) and gt_map_seg, or pred_sem_seg and gt_sem_seg.

    Raises:
        ValueError: a sample has neither prediction or no truth, its shape does not fit
            the names, or see `confuse_labels`.
    """

    default_prefix = ''

    def __init__(self, counts_file: str, threshold: float = 0.5,
                 classes: Sequence[str] | None = None, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f'threshold must be between 0 and 1, got {threshold}')
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.counts_file = counts_file
        self.threshold = threshold
        self.classes = None if classes is None else tuple(classes)

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Count each sample of a batch."""
        for sample in data_samples:
            maps = pixel_data(sample, 'pred_map_seg') is not None
            counts, cells = (self._count_map(sample) if maps
                             else self._count_labels(sample))
            # Few pairs of classes occur in one sample.
            self.results.append((maps, torch.cat(
                [counts, cells[:, None]], 1).cpu().to_sparse()))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Pool the counts of all samples and write them."""
        maps = results[0][0]
        total = sum(counts.to_dense() for _, counts in results)
        names = self._names(maps)
        write_curves(self.counts_file, dict(
            classes=[*names, NOTHING] if maps else list(names), overlapping=maps,
            threshold=self.threshold if maps else None, samples=len(results),
            counts=total[:, :-1].tolist(), cells=total[:, -1].tolist()))
        return {}

    def _count_map(self, sample: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        probability = tensor_of(sample, 'pred_map_seg')
        names = self._names(True)
        if len(probability) != len(names):
            raise ValueError(f'{len(probability)} classes are predicted, but '
                             f'{len(names)} have names: {names}')
        return confuse_maps(probability >= self.threshold,
                            tensor_of(sample, 'gt_map_seg'))

    def _count_labels(self, sample: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        hint = 'a confusion matrix needs classes, of maps (pred_map_seg) or labels'
        return confuse_labels(plane_of(sample, 'pred_sem_seg', hint),
                              plane_of(sample, 'gt_sem_seg'), len(self._names(False)))

    def _names(self, maps: bool) -> tuple[str, ...]:
        meta = self.dataset_meta or {}
        names = self.classes or meta.get('map_classes' if maps else 'classes') or (
            MAP_CLASSES if maps else None)
        if names is None:
            raise ValueError('the data set names no classes; pass them: '
                             'ddp.ConfusionMetric(classes=[...])')
        return tuple(names)
