"""How well an uncertainty of depth follows its error, from pooled counts."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ddp_perception.evaluation.ranking import (
    BINS,
    exact_sum,
    mean_of_kept,
    uncertainty_bins,
)

ERRORS = ('abs_rel', 'rmse')
"""Errors that are sparsified: |e| / truth, and the root of the mean of e^2."""

POINTS = 1000
"""Shares of kept pixels at which a curve is computed."""

_COARSER = 2  # bins of `ranking` in one bin of the joint histogram
_JOINT = BINS // _COARSER + 1  # they too begin at powers of two


@dataclass(frozen=True)
class DepthCounts:
    """What is kept of one image, or of many.

    Whole numbers are int32 in a single image, int64 in a pool.

    Args:
        pixels: those evaluated.
        moments: (5, ) float64, sums of u, a, u^2, a^2 and u a for uncertainty
            u and absolute error a, metres.
        by_uncertainty: (BINS, ), pixels per bin of uncertainty.
        by_error: (2, BINS), pixels per bin of each of `ERRORS`.
        error_by_uncertainty, error_by_error: (2, BINS) float64, summed
            |e| / truth and e^2 in those bins.
        joint: (J, 2), the filled cells of the joint histogram of
            uncertainty and absolute error, 16 bins to a factor of two: number
            of the cell, increasing, and its pixels.
    """

    pixels: int
    moments: np.ndarray
    by_uncertainty: np.ndarray
    by_error: np.ndarray
    error_by_uncertainty: np.ndarray
    error_by_error: np.ndarray
    joint: np.ndarray


def count_depth(prediction: Tensor, truth: Tensor, uncertainty: Tensor) -> DepthCounts:
    """Count the evaluated pixels of one image.

    Args:
        prediction: (N, ) metres.
        truth: (N, ) metres, above 0.
        uncertainty: (N, ), at least 0, of any unit.

    Returns:
        Arrays on the CPU.

    Raises:
        ValueError: shapes differ, a depth is not positive and finite, or see
            `uncertainty_bins`.
    """
    shapes = [tuple(values.shape) for values in (prediction, truth, uncertainty)]
    if len(set(shapes)) > 1 or truth.dim() != 1:
        raise ValueError('prediction, truth and uncertainty must all be (N, ), got '
                         f'{shapes[0]}, {shapes[1]} and {shapes[2]}')
    prediction, truth, uncertainty = (values.detach().cpu().double() for values in
                                      (prediction, truth, uncertainty))
    for name, values in (('predicted', prediction), ('true', truth)):
        wrong = ~(torch.isfinite(values) & (values > 0))
        if wrong.any():
            raise ValueError(f'{int(wrong.sum())} of {len(values)} {name} depths are '
                             f'not positive and finite (first: '
                             f'{float(values[wrong][0])})')
    place = uncertainty_bins(uncertainty).numpy()
    absolute = (prediction - truth).abs()
    relative = absolute / truth
    placed = [uncertainty_bins(error).numpy() for error in (relative, absolute)]
    summed = [relative.numpy(), absolute.square().numpy()]
    u, a = uncertainty.numpy(), absolute.numpy()
    joint = np.unique(_coarse(place) * _JOINT + _coarse(placed[1]),
                      return_counts=True)
    return DepthCounts(
        pixels=len(u),
        moments=np.array([values.sum() for values in (u, a, u * u, a * a, u * a)]),
        by_uncertainty=np.bincount(place, minlength=BINS).astype(np.int32),
        by_error=np.stack([np.bincount(own, minlength=BINS) for own in placed],
                          dtype=np.int32, casting='same_kind'),
        error_by_uncertainty=np.stack([
            np.bincount(place, error, BINS) for error in summed]),
        error_by_error=np.stack([np.bincount(own, error, BINS)
                                 for own, error in zip(placed, summed, strict=True)]),
        joint=np.stack(joint, 1).astype(np.int32))


def pool_depth(counts: Sequence[DepthCounts]) -> DepthCounts:
    """Add the counts of images; their order does not matter to the last bit."""
    joint = np.concatenate([item.joint for item in counts])
    cells, inverse = np.unique(joint[:, 0], return_inverse=True)
    pixels = np.zeros(len(cells), np.int64)
    np.add.at(pixels, inverse, joint[:, 1])
    return DepthCounts(
        pixels=sum(item.pixels for item in counts), joint=np.stack([cells, pixels], 1),
        **{name: np.sum([getattr(item, name) for item in counts], 0, dtype=np.int64)
           for name in ('by_uncertainty', 'by_error')},
        **{name: exact_sum([getattr(item, name) for item in counts])
           for name in ('moments', 'error_by_uncertainty', 'error_by_error')})


def sparsification(counts: DepthCounts, error: str
                   ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how the error falls as the most uncertain pixels are left out.

    Args:
        counts: pooled.
        error: one of `ERRORS`.

    Returns:
        (POINTS, ) float64 each: the share of pixels that is kept, rising to
        1; the error of those kept, over the error of all; and the same where
        the pixels of greatest error are left out (the oracle). NaN where there
        is no pixel, or no error.

    Raises:
        ValueError: an unknown error.

    Source: sparsification of Ilg et al., arXiv:1802.07095, section 4.3.
    """
    if error not in ERRORS:
        raise ValueError(f'error must be one of {ERRORS}, got {error!r}')
    which = ERRORS.index(error)
    kept = np.arange(1, POINTS + 1) / POINTS
    curves = []
    for cells, sums in (
            (counts.by_uncertainty, counts.error_by_uncertainty[which]),
            (counts.by_error[which], counts.error_by_error[which])):
        curve = mean_of_kept(cells, sums, kept)
        curve = np.sqrt(curve) if error == 'rmse' else curve
        curves.append(curve / curve[-1] if curve[-1] else np.full(POINTS, math.nan))
    by_uncertainty, by_error = curves
    return kept, by_uncertainty, by_error


def ause(counts: DepthCounts, error: str) -> float:
    """Return the area between an uncertainty's curve and the oracle's.

    The mean over `POINTS` shares of the difference of the two curves of
    `sparsification`; 0 is best.

    Within a bin of uncertainty, and within one of error for the oracle, pixels
    are left out evenly: exact where the values of a bin are equal. The
    oracle's curve is otherwise too high by at most 1/32 of itself, as the
    errors of a bin are within 1/32 of each other.
    """
    _, own, oracle = sparsification(counts, error)
    return float((own - oracle).mean())


def correlations(counts: DepthCounts) -> dict[str, float]:
    """Return how uncertainty and absolute error go together.

    Args:
        counts: pooled.

    Returns:
        pearson: of the values, from their sums, not binned.
        spearman: of the ranks, by the joint histogram; pixels of one bin tie.
        Both in [-1, 1], NaN where one of the two does not vary.
    """
    u, a, uu, aa, ua = counts.moments
    pearson = _ratio(counts.pixels * ua - u * a, counts.pixels * uu - u * u,
                     counts.pixels * aa - a * a,
                     # What is left of a constant is rounding.
                     (counts.pixels * uu, counts.pixels * aa))
    weight = counts.joint[:, 1].astype(np.float64)
    ranks = [_middle_ranks(place, weight) for place in divmod(counts.joint[:, 0],
                                                              _JOINT)]
    cross, first, second = ((weight * one * two).sum() for one, two in (
        ranks, (ranks[0], ranks[0]), (ranks[1], ranks[1])))
    return dict(pearson=pearson, spearman=_ratio(cross, first, second, (1, 1)))


def _coarse(place: np.ndarray) -> np.ndarray:
    """Bins of half as many to a factor of two; that of zeros stays alone."""
    return (place + _COARSER - 1) // _COARSER


def _middle_ranks(place: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rank of each cell's pixels along one axis, about the mean rank."""
    counts = np.bincount(place, weight, _JOINT)
    middle = np.cumsum(counts) - counts / 2
    return (middle - weight.sum() / 2)[place] / max(weight.sum(), 1)


def _ratio(cross: float, first: float, second: float,
           scale: tuple[float, float]) -> float:
    if first <= 1e-12 * scale[0] or second <= 1e-12 * scale[1]:
        return math.nan
    return float(np.clip(cross / math.sqrt(first) / math.sqrt(second), -1, 1))
