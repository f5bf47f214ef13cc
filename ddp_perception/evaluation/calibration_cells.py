"""What one prediction and its truth say of each cell's probability."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Probabilities are clipped this far from 0 and 1 under a logarithm."""


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
