"""Whether probabilities are true to what happens, from pooled counts.

One sample at a time becomes a `CalibrationCounts`; those of all samples are
pooled, and the measures are functions of the pool. So the figures are those of
all cells of the set together, not means over images.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddp_perception.evaluation.ranking import BINS, exact_sum, uncertainty_bins

RELIABILITY_BINS = 15
"""As Guo et al. report: bin b holds probabilities in (b / 15, (b + 1) / 15]."""

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Probabilities are clipped this far from 0 and 1 under a logarithm."""

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


@dataclass(frozen=True)
class Cells:
    """Evaluated cells of one sample; all (N, ), of one device.

    Args:
        group: int64, which group each belongs to.
        probability: float64, that the event of the group happens.
        hit: bool, whether it did.
        wrong: bool, whether the decision was wrong.
        brier: float64, squared distance to the truth.
        nll: float64, negative logarithm of the truth's probability, nats.
        entropy: float64, of the predicted distribution, nats.
        confidence: float64, 1 less the greatest probability.
    """

    group: Tensor
    probability: Tensor
    hit: Tensor
    wrong: Tensor
    brier: Tensor
    nll: Tensor
    entropy: Tensor
    confidence: Tensor


def class_cells(scores: Tensor, labels: Tensor, logits: bool = True) -> Cells:
    """Compare the scores of classes that exclude each other with labels.

    The event is that the predicted class, the greatest score, is right.

    Args:
        scores: (K, N) logits, or probabilities that sum to 1.
        labels: (N, ) whole numbers, 0 to K - 1.
        logits: whether `scores` are logits.

    Returns:
        `Cells` of one group; brier is the sum over classes, in [0, 2].

    Raises:
        ValueError: shapes differ, a score is no finite number or no
            probability, or a label is no class.
    """
    if scores.dim() != 2 or labels.shape != scores.shape[1:]:
        raise ValueError('scores and labels must be (classes, N) and (N, ), got '
                         f'{tuple(scores.shape)} and {tuple(labels.shape)}')
    labels = labels.to(scores.device).long()
    outside = (labels < 0) | (labels >= len(scores))
    if outside.any():
        raise ValueError(f'labels must be 0 to {len(scores) - 1} or the ignored one, '
                         f'got {labels[outside].unique().tolist()[:5]}')
    scores = scores.double()
    if logits:
        _refuse(~torch.isfinite(scores), scores, 'logits are not finite')
        logarithm = scores.log_softmax(0)
        probability = logarithm.exp()
    else:
        probability = _probabilities(scores)
        totals = probability.sum(0)
        _refuse((totals - 1).abs() > 1e-2, totals,
                'sums of class probabilities are not 1: are these logits?')
        logarithm = _clipped(probability).log()
    greatest, predicted = probability.max(0)
    truth = probability.gather(0, labels[None])[0]
    return Cells(
        group=torch.zeros_like(labels), probability=greatest,
        hit=predicted == labels, wrong=predicted != labels,
        # sum of p^2, with the truth's p^2 replaced by (p - 1)^2
        brier=probability.square().sum(0) - truth.square() + (truth - 1).square(),
        nll=-logarithm.gather(0, labels[None])[0],
        entropy=torch.special.entr(probability).sum(0).clamp(min=0),
        confidence=(1 - greatest).clamp(min=0))


def multi_label_cells(probability: Tensor, label: Tensor, threshold: float = 0.5
                      ) -> Cells:
    """Compare the probabilities of overlapping classes with masks.

    The event of each class is that it is there; the decision is wrong where
    it lies on the other side of the threshold.

    Args:
        probability: (C, N) in [0, 1].
        label: (C, N), 0 or 1.
        threshold: probability from which a class is predicted.

    Returns:
        `Cells`, C x N of C groups; entropy is the Bernoulli one.

    Raises:
        ValueError: shapes differ, a value is no probability, or a label is
            not 0 or 1.
    """
    if probability.dim() != 2 or label.shape != probability.shape:
        raise ValueError('probabilities and masks must both be (classes, N), got '
                         f'{tuple(probability.shape)} and {tuple(label.shape)}')
    label = label.to(probability.device)
    other = (label != 0) & (label != 1)
    if other.any():
        raise ValueError('map labels must be 0 or 1, got '
                         f'{label[other].unique().tolist()[:5]}')
    # As the map's own metric decides: in float32.
    predicted = probability.float() >= torch.tensor(
        threshold, dtype=torch.float32, device=probability.device)
    probability = _probabilities(probability.double())
    label = label.bool()
    group = torch.arange(len(label), device=label.device)[:, None].expand_as(label)
    opposite = 1 - probability
    return Cells(
        group=group.flatten(), probability=probability.flatten(), hit=label.flatten(),
        wrong=(predicted != label).flatten(),
        brier=(probability - label.double()).square().flatten(),
        nll=-_clipped(torch.where(label, probability, opposite)).log().flatten(),
        entropy=(torch.special.entr(probability)
                 + torch.special.entr(opposite)).flatten(),
        confidence=torch.minimum(probability, opposite).flatten())


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


def reliability(counts: CalibrationCounts) -> dict[str, np.ndarray]:
    """Return the data of a reliability diagram.

    Args:
        counts: pooled.

    Returns:
        edges (bins + 1, ), and per group and bin, (G, bins): cells (int64),
        probability (mean) and frequency (of the event), NaN in empty bins.
    """
    cells = counts.cells
    filled = np.where(cells, cells, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(cells, values / filled, math.nan)

    return dict(edges=np.arange(cells.shape[1] + 1) / cells.shape[1], cells=cells,
                probability=mean(counts.probability), frequency=mean(counts.hits))


def calibration_measures(counts: CalibrationCounts) -> dict[str, np.ndarray]:
    """Return the measures of each group.

    Args:
        counts: pooled.

    Returns:
        ece: mean over cells of |frequency - mean probability| of their bin.
        brier: mean squared distance; in [0, 2] for exclusive classes, in
        [0, 1] for overlapping ones.
        nll: mean negative logarithm of the truth's probability, nats.
        Each (G, ) float64, NaN for a group without cells.

    Source: ece by Guo et al., arXiv:1706.04599, eq. 3. For an overlapping class
    its probability and frequency take the place of confidence and accuracy.
    """
    total = counts.cells.sum(1)
    divisor = np.where(total, total, 1)
    gaps = np.abs(counts.hits - counts.probability).sum(1)
    return {name: np.where(total, values / divisor, math.nan)
            for name, values in dict(ece=gaps, brier=counts.brier,
                                     nll=counts.nll).items()}


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


def _clipped(probability: Tensor) -> Tensor:
    return probability.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)


def _probabilities(values: Tensor) -> Tensor:
    _refuse(values.isnan(), values, 'probabilities are NaN')
    # Interpolation in half precision leaves the range by a rounding.
    _refuse((values < -1e-3) | (values > 1 + 1e-3), values,
            'probabilities are outside [0, 1]')
    return values.clamp(0, 1)


def _refuse(wrong: Tensor, values: Tensor, what: str) -> None:
    if wrong.any():
        raise ValueError(f'{int(wrong.sum())} of {values.numel()} {what} (first: '
                         f'{float(values[wrong][0]):g})')
