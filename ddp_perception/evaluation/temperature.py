"""Fit a temperature to scores and truth.

Of each sample a random part of the cells is kept, so that a data set fits into
memory; which ones depends on the sample's number alone.

Source: Guo et al., arXiv:1706.04599, section 4.2: the temperature of least NLL.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ddp_perception.evaluation.offsets import fit_scaling, require_cells

RANGE = 0.01, 100.
"""Temperatures that are considered; NLL may fall beyond them without end."""

LARGEST = 1 << 28
"""Scores of all samples that are kept at most: 1 GiB of float32."""

_AT_ONCE = 1 << 22  # scores in float64
_ITERATIONS = 100  # Newton's take about 8
_PRECISION = 1e-12  # relative


@dataclass(frozen=True)
class Fit:
    """A temperature and what it does to the cells that it was fitted to.

    Args:
        temperature: within `RANGE`.
        before, after: NLL at temperature 1 and at this one, nats.
    """

    temperature: float
    before: float
    after: float

    @property
    def at_bound(self) -> bool:
        """Whether NLL would fall further beyond `RANGE`."""
        return is_at_bound(self.temperature)


def is_at_bound(temperature: float) -> bool:
    """Whether a temperature is at an end of `RANGE`, or beyond it as with offsets."""
    return not RANGE[0] < temperature < RANGE[1]


def fit_temperature(scores: Tensor, labels: Tensor, weights: Tensor | None = None
                    ) -> Fit:
    """Find the temperature of least NLL.

    NLL is convex in 1 / T: Newton's method in float64, halving the interval
    that holds the root of the slope where a step would leave it.

    Args:
        scores: (K, N) finite logits, or logarithms of probabilities. For a
            class that is there or not, zeros and its logit.
        labels: (N, ) int64, 0 to K - 1.
        weights: (N, ) at least 0, 1 by default.

    Raises:
        ValueError: shapes differ, there is no cell, or a score is not finite.
    """
    require_cells(scores, labels)
    if weights is None:
        weights = torch.ones(labels.shape, dtype=torch.float64)
    before, slope, _ = _likelihood(scores, labels, weights, 1.)
    inverse = _least(scores, labels, weights) if slope else 1.
    temperature = min(max(1 / inverse, RANGE[0]), RANGE[1])
    return Fit(temperature, before,
               _likelihood(scores, labels, weights, 1 / temperature)[0])


def _least(scores: Tensor, labels: Tensor, weights: Tensor) -> float:
    """Return the inverse temperature of least NLL."""
    low, high = 1 / RANGE[1], 1 / RANGE[0]
    if _likelihood(scores, labels, weights, low)[1] >= 0:
        return low
    if _likelihood(scores, labels, weights, high)[1] <= 0:
        return high
    inverse = 1.
    for _ in range(_ITERATIONS):
        _, slope, curvature = _likelihood(scores, labels, weights, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else math.nan
        if min(abs(step - inverse), high - low) <= _PRECISION * low:
            break
        inverse = step if low < step < high else (low + high) / 2
    return inverse


def _likelihood(scores: Tensor, labels: Tensor, weights: Tensor, inverse: float
                ) -> tuple[float, float, float]:
    """Return the mean NLL at an inverse temperature, its slope and curvature."""
    size = max(1, _AT_ONCE // len(scores))
    sums = torch.zeros(4, dtype=torch.float64)
    for some, truth, weight in zip(scores.split(size, 1), labels.split(size),
                                   weights.split(size), strict=True):
        some = some.double()
        apart = some - some.gather(0, truth[None])  # of the truth's own
        logarithm = (apart * inverse).log_softmax(0)
        probability = logarithm.exp()
        mean = (probability * apart).sum(0)
        variance = (probability * (apart - mean).square()).sum(0)
        nll = -logarithm.gather(0, truth[None])[0]
        weight = weight.double()
        sums += torch.stack([(weight * values).sum() for values in (
            nll, mean, variance, torch.ones_like(nll))])
    nll, slope, curvature = (sums[:3] / sums[3]).tolist()
    return nll, slope, curvature


@dataclass
class CellSubsample:
    """Scores and truth of some cells of each sample.

    A kept cell weighs as many as it stands for, so that an image counts by its
    valid pixels, as it does where all are pooled.

    Args:
        most: how many cells of a sample are kept.
        seed: of the choice. Which cells are kept depends on it, on the number
            of the sample and on how many cells it has: not on the batch.
    """

    most: int
    seed: int = 0
    scores: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Keep some cells of the next sample.

        Args:
            scores: (K, N).
            labels: (N, ), or (K, N) masks of overlapping classes.
        """
        count = scores.shape[1]
        kept = min(self.most, count)
        draw = np.random.default_rng([self.seed, len(self.scores)])
        chosen = torch.from_numpy(np.sort(draw.choice(count, kept, replace=False)))
        self.scores.append(scores[:, chosen.to(scores.device)].float().cpu())
        self.labels.append(labels[..., chosen.to(labels.device)].long().cpu())
        self.weights.append(torch.full((kept, ), count / max(kept, 1)))

    def fits(self, shared: bool = False) -> list[Fit]:
        """Fit a temperature to each group: all classes, or each overlapping one.

        Args:
            shared: fit one to all overlapping classes together, and return it
                for each.
        """
        count = len(self.labels[0]) if shared and self.labels[0].dim() == 2 else 1
        return [fit_temperature(*group) for group in self._groups(shared)] * count

    def scaling(self) -> tuple[Tensor, Tensor]:
        """Fit a temperature to each group and an offset to each class; float32.

        Returns:
            (1, ) and (K, ) of classes that exclude each other; (K, ) and (K, ) of
            overlapping ones.
        """
        found = [fit_scaling(*group) for group in self._groups()]
        offsets = found[0].offsets if self.labels[0].dim() == 1 else torch.stack(
            [one.offsets[1] for one in found])
        return torch.tensor([1 / one.slope for one in found]), offsets

    def _groups(self, shared: bool = False) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return scores (K, N), labels (N, ) and weights (N, ) of each group."""
        weights = torch.cat(self.weights)
        scores, labels = torch.cat(self.scores, 1), torch.cat(self.labels, -1)
        if labels.dim() == 1:
            return [(scores, labels, weights)]
        if shared:
            return [(_of_presence(scores.flatten()), labels.flatten(),
                     weights.repeat(len(labels)))]
        return [(_of_presence(own), mask, weights)
                for own, mask in zip(scores, labels, strict=True)]


def _of_presence(logits: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(logits), logits])
