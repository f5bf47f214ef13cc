"""Counts of a sample's cells by probability and uncertainty, and their pool.

One sample at a time becomes a `CalibrationCounts`; those of all samples are
pooled, so that what follows from them is said of all cells of the set
together, not of the mean over images.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddp_perception.evaluation.calibration_cells import (
    Cells,
    class_cells,
    multi_label_cells,
)
from ddp_perception.evaluation.ranking import BINS, exact_sum, uncertainty_bins

RELIABILITY_BINS = 15
"""As Guo et al. report: bin b holds probabilities in (b / 15, (b + 1) / 15]."""

_AT_ONCE = 1 << 18  # pixels, so that 150 classes of a photograph fit into memory


@dataclass(frozen=True)
class CalibrationCounts:
    """What is kept of one sample, or of many.

    G groups are calibrated apart: the one group of classes that exclude each
    other, or each overlapping class. U uncertainties are ranked.

    Args:
        cells: (G, bins) int64, cells whose probability is in a bin.
        hits: (G, bins) int64, those in which the event came true.
        probability: (G, bins) float64, sum of their probabilities.
        brier: (G, ) float64, summed squared distance to the truth.
        nll: (G, ) float64, summed negative logarithm, nats.
        ranked: (U, 2, BINS) int64, right and wrong cells by uncertainty; int32
            in a single sample.
    """

    cells: np.ndarray
    hits: np.ndarray
    probability: np.ndarray
    brier: np.ndarray
    nll: np.ndarray
    ranked: np.ndarray


def count_cells(cells: Cells, uncertainties: Sequence[Tensor], groups: int = 1,
                bins: int = RELIABILITY_BINS) -> CalibrationCounts:
    """Count one sample's cells.

    Args:
        cells: to count.
        uncertainties: U of (N, ), at least 0.
        groups: G.
        bins: of the reliability data.

    Returns:
        Arrays on the CPU. Sums are taken in one order, whatever the device.

    Raises:
        ValueError: an uncertainty of another shape, or see `uncertainty_bins`.
    """
    group, probability, hit, wrong = (
        values.cpu().numpy()
        for values in (cells.group, cells.probability, cells.hit, cells.wrong))
    place = group * bins + np.searchsorted(np.arange(1, bins) / bins, probability)

    def table(index: np.ndarray, size: int, weights: np.ndarray | None = None
              ) -> np.ndarray:
        return np.bincount(index, weights, groups * size).reshape(groups, size)

    ranked = np.zeros((len(uncertainties), 2, BINS), np.int32)
    for number, uncertainty in enumerate(uncertainties):
        if uncertainty.shape != cells.wrong.shape:
            raise ValueError(f'the uncertainty of {len(wrong)} cells must be '
                             f'({len(wrong)}, ), got {tuple(uncertainty.shape)}')
        index = uncertainty_bins(uncertainty).cpu().numpy() + BINS * wrong
        ranked[number] = np.bincount(index, minlength=2 * BINS).reshape(2, BINS)
    return CalibrationCounts(
        cells=table(place, bins), hits=table(place[hit], bins),
        probability=table(place, bins, probability),
        brier=table(group, 1, cells.brier.cpu().numpy())[:, 0],
        nll=table(group, 1, cells.nll.cpu().numpy())[:, 0], ranked=ranked)


def count_classes(scores: Tensor, labels: Tensor, uncertainties: Sequence[str] = (),
                  field: Tensor | None = None, *, logits: bool = True,
                  ignore_index: int = 255, bins: int = RELIABILITY_BINS
                  ) -> CalibrationCounts:
    """Count one label map.

    Args:
        scores: (K, H, W) logits or probabilities.
        labels: (H, W) whole numbers.
        uncertainties: of 'entropy', 'confidence' and 'field'.
        field: (H, W), the uncertainty 'field'.
        logits: whether `scores` are logits.
        ignore_index: label of pixels that do not count.
        bins: of the reliability data.

    Raises:
        ValueError: see `class_cells`, or the uncertainty's shape differs.
    """
    if scores.dim() != 3 or labels.shape != scores.shape[1:]:
        raise ValueError('scores and labels must be (classes, H, W) and (H, W), got '
                         f'{tuple(scores.shape)} and {tuple(labels.shape)}')
    field = _expanded(field, labels.shape)
    counted = labels.to(scores.device) != ignore_index
    scores, labels = scores[:, counted], labels.to(scores.device)[counted]
    parts = [vars(class_cells(*part, logits)) for part in zip(
        scores.split(_AT_ONCE, 1), labels.split(_AT_ONCE), strict=True)]
    cells = Cells(**{name: torch.cat([part[name] for part in parts])
                     for name in parts[0]})
    chosen = _chosen(cells, uncertainties, None if field is None
                     else field.to(scores.device)[counted])
    return count_cells(cells, chosen, bins=bins)


def count_maps(probability: Tensor, label: Tensor, uncertainties: Sequence[str] = (),
               field: Tensor | None = None, *, threshold: float = 0.5,
               bins: int = RELIABILITY_BINS) -> CalibrationCounts:
    """Count one map of overlapping classes, every cell of every class.

    Args:
        probability: (C, X, Y) in [0, 1].
        label: (C, X, Y), 0 or 1.
        uncertainties: of 'entropy', 'confidence' and 'field'.
        field: (C, X, Y), or (X, Y) for all classes: the uncertainty 'field'.
        threshold: probability from which a class is predicted.
        bins: of the reliability data.

    Raises:
        ValueError: see `multi_label_cells`, or the uncertainty's shape differs.
    """
    if probability.dim() != 3 or label.shape != probability.shape:
        raise ValueError('prediction and label must both be (classes, X, Y), got '
                         f'{tuple(probability.shape)} and {tuple(label.shape)}')
    field = _expanded(field, probability.shape)
    cells = multi_label_cells(probability.flatten(1), label.flatten(1), threshold)
    chosen = _chosen(cells, uncertainties, None if field is None
                     else field.to(probability.device).flatten())
    return count_cells(cells, chosen, len(label), bins)


def pool_counts(counts: Sequence[CalibrationCounts]) -> CalibrationCounts:
    """Add the counts of samples; their order does not matter to the last bit."""
    def added(name: str) -> np.ndarray:
        return np.sum([getattr(item, name) for item in counts], 0, dtype=np.int64)

    def summed(name: str) -> np.ndarray:
        return exact_sum([getattr(item, name) for item in counts])

    return CalibrationCounts(
        cells=added('cells'), hits=added('hits'), probability=summed('probability'),
        brier=summed('brier'), nll=summed('nll'), ranked=added('ranked'))


def _chosen(cells: Cells, names: Sequence[str], field: Tensor | None) -> list[Tensor]:
    known: Mapping[str, Tensor | None] = dict(
        entropy=cells.entropy, confidence=cells.confidence, field=field)
    missing = [name for name in names if known.get(name) is None]
    if missing:
        raise ValueError(f'there is no uncertainty {missing}: it must be among '
                         f"{tuple(known)}, and 'field' must be given")
    return [value for name in names if (value := known[name]) is not None]


def _expanded(field: Tensor | None, shape: Sequence[int]) -> Tensor | None:
    """Bring (1, H, W) or (H, W) into the shape of what it belongs to."""
    if field is None or field.shape == shape:
        return field
    if field.dim() == 3 and len(field) == 1:
        field = field[0]
    if field.shape != shape[-2:]:
        raise ValueError(f'the uncertainty of {tuple(shape)} must be of that shape or '
                         f'{tuple(shape[-2:])}, got {tuple(field.shape)}')
    return field.expand(shape)
