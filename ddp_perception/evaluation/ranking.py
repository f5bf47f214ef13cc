"""How well an uncertainty orders cells, from pooled histograms.

An uncertainty matters by its order alone, and its values crowd near 0. Its
histogram therefore has bins of equal *relative* width, `PER_OCTAVE` to a factor
of two from 2^-24 to 2^10, and one for all that is smaller: `BINS` in all,
whatever the size of the data set. Cells in one bin count as equally uncertain.
Figures are exact where all values of a bin are equal, as numbers of up to six
significant bits are; otherwise `ranking_bounds` gives an interval that holds
the exact figure.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

PER_OCTAVE = 32
_LEAST, _GREATEST = -24, 10  # exponents of two
BINS = (_GREATEST - _LEAST) * PER_OCTAVE + 1
"""1089: bin 0 is [0, 2^-24), the last one holds all that is greater, too."""

_SHIFT = 23 - 5  # of float32's 23 bits of fraction, 5 tell 32 bins apart
_FIRST = (127 + _LEAST) * PER_OCTAVE - 1


def uncertainty_bins(values: Tensor) -> Tensor:
    """Return the bin of each uncertainty.

    Args:
        values: of any shape, at least 0, in any unit; compared in float32.

    Returns:
        int64 of the same shape, 0 to `BINS` - 1; greater for greater values.

    Raises:
        ValueError: a value is negative, NaN or infinite.
    """
    wrong = ~(torch.isfinite(values) & (values >= 0))
    if wrong.any():
        raise ValueError(f'{int(wrong.sum())} of {values.numel()} uncertainties are '
                         'not finite and at least 0 (first: '
                         f'{float(values[wrong][0])})')
    # The bits of a positive float grow with it: exponent, then fraction.
    bits = values.float().contiguous().view(torch.int32) >> _SHIFT
    return (bits - _FIRST).clamp(0, BINS - 1).long()


def bin_edges() -> np.ndarray:
    """Return the least value of each bin, (BINS, ) float64."""
    octave, part = np.divmod(np.arange(BINS - 1), PER_OCTAVE)
    return np.concatenate([[0.], 2. ** (octave + _LEAST) * (1 + part / PER_OCTAVE)])


def mean_of_kept(counts: np.ndarray, sums: np.ndarray, kept: np.ndarray
                 ) -> np.ndarray:
    """Return the mean error of the least uncertain cells.

    Where the limit falls inside a bin, that bin's error is shared evenly.

    Args:
        counts: (BINS, ) cells per bin, from least to most uncertain.
        sums: (BINS, ) their summed error, at least 0.
        kept: (P, ) shares of all cells, in (0, 1].

    Returns:
        (P, ) float64, NaN where there is no cell.
    """
    cells, errors = (np.concatenate([[0.], np.cumsum(values, dtype=np.float64)])
                     for values in (counts, sums))
    if not cells[-1]:
        return np.full(len(kept), math.nan)
    limit = np.asarray(kept, np.float64) * cells[-1]
    return np.interp(limit, cells, errors) / limit


def risk_coverage(ranked: np.ndarray, points: int = 100
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of wrong cells among the most certain ones.

    Args:
        ranked: (2, BINS) right and wrong cells per bin of uncertainty.
        points: coverages 1 / points, 2 / points, ..., 1.

    Returns:
        Coverage and risk, both (points, ) float64.

    Source: selective risk of Geifman and El-Yaniv, arXiv:1705.08500.
    """
    coverage = np.arange(1, points + 1) / points
    return coverage, mean_of_kept(ranked.sum(0), ranked[1], coverage)


def ranking_measures(ranked: np.ndarray) -> dict[str, float]:
    """Return how well an uncertainty finds the wrong cells.

    Args:
        ranked: (2, BINS) int64, right and wrong cells per bin, pooled.

    Returns:
        error_rate: wrong share of all cells.
        auroc: chance that a wrong cell is more uncertain than a right one, a
        tie counting one half.
        aupr: average precision, wrong cells being the positives and those of
        one bin retrieved together.
        aurc: risk averaged over the coverages 1/N, 2/N, ..., 1 of N cells,
        expected under any order within a bin; 0 is best.
        Fractions; NaN where there is no cell, or for auroc no right or no
        wrong one, or for aupr no wrong one.

    Raises:
        ValueError: another shape.

    Source: Hendrycks and Gimpel, arXiv:1610.02136 (auroc, aupr); Geifman,
    Uziel and El-Yaniv, arXiv:1805.08206 (aurc).
    """
    right, wrong = _checked(ranked)
    total = right.sum() + wrong.sum()
    return dict(error_rate=float(wrong.sum() / total) if total else math.nan,
                auroc=_auroc(right, wrong), aupr=_aupr(right, wrong),
                aurc=_aurc(right, wrong))


def ranking_bounds(ranked: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return what the figures could be if bins were infinitely fine.

    Args:
        ranked: see `ranking_measures`.

    Returns:
        Least and greatest auroc, aupr and aurc of any order of the cells
        within each bin.
    """
    right, wrong = _checked(ranked)
    nothing = np.zeros_like(right)
    first = np.stack([right, nothing], 1).ravel(), np.stack([nothing, wrong], 1).ravel()
    last = np.stack([nothing, right], 1).ravel(), np.stack([wrong, nothing], 1).ravel()
    return dict(auroc=(_auroc(*last), _auroc(*first)),
                aupr=(_aupr(*last, one_by_one=True), _aupr(*first)),
                aurc=(_aurc(*first), _aurc(*last)))


def exact_sum(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Add float64 arrays of one shape, rounding once: in any order the same."""
    stacked = np.stack(arrays)
    sums = [math.fsum(column) for column in stacked.reshape(len(stacked), -1).T]
    return np.array(sums, np.float64).reshape(stacked.shape[1:])


def _checked(ranked: np.ndarray) -> np.ndarray:
    if ranked.shape != (2, BINS):
        raise ValueError(f'right and wrong cells must be (2, {BINS}), got '
                         f'{ranked.shape}')
    return ranked.astype(np.float64)  # whole numbers to 2^53


def _auroc(right: np.ndarray, wrong: np.ndarray) -> float:
    pairs = right.sum() * wrong.sum()
    if not pairs:
        return math.nan
    below = np.cumsum(right) - right
    return float((wrong * (below + right / 2)).sum() / pairs)


def _aupr(right: np.ndarray, wrong: np.ndarray, one_by_one: bool = False) -> float:
    """Average precision; ``one_by_one`` takes the wrong cells of a bin singly."""
    if not wrong.sum():
        return math.nan
    right, wrong = right[::-1], wrong[::-1]
    found, retrieved = np.cumsum(wrong), np.cumsum(right + wrong)
    if one_by_one:
        # sum over i = 1..w of (found + i) / (retrieved + i)
        before = retrieved - wrong
        gains = wrong - (before - (found - wrong)) * _harmonic(before, wrong)
    else:
        gains = wrong * found / np.maximum(retrieved, 1)
    return float(gains.sum() / wrong.sum())


def _aurc(right: np.ndarray, wrong: np.ndarray) -> float:
    cells = right + wrong
    if not cells.sum():
        return math.nan
    before, errors = np.cumsum(cells) - cells, np.cumsum(wrong) - wrong
    rate = wrong / np.maximum(cells, 1)
    # sum over j = 1..n of (errors + rate j) / (before + j)
    areas = wrong + (errors - rate * before) * _harmonic(before, cells)
    return float(areas.sum() / cells.sum())


def _harmonic(before: np.ndarray, count: np.ndarray) -> np.ndarray:
    """1 / (before + 1) + ... + 1 / (before + count)."""
    start = torch.from_numpy(np.ascontiguousarray(before)) + 1
    return (torch.digamma(start + torch.from_numpy(np.ascontiguousarray(count)))
            - torch.digamma(start)).numpy()
