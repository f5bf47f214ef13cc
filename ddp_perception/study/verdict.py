"""Whether a claimed difference is there, over trainings from several seeds.

Trainings of one seed share the order of the samples and the noise, so the
differences are taken seed by seed. Their standard deviation, with one degree of
freedom less than there are seeds, is the spread. A difference is shown from two
spreads on, and by at least three seeds.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean, stdev

LEAST_REPEATS = 3
SPREADS = 2

HOLDS, FAILS, OPEN = 'holds', 'does not hold', 'not shown'


@dataclass(frozen=True)
class Spread:
    """Mean and spread of some numbers.

    Args:
        mean: NaN of none.
        spread: standard deviation; NaN of fewer than two.
        repeats: how many.
    """

    mean: float
    spread: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise numbers."""
        return cls(fmean(values) if values else nan,
                   stdev(values) if len(values) > 1 else nan, len(values))


def paired(first: Sequence[float], second: Sequence[float]) -> Spread:
    """Return the spread of the differences, seed by seed.

    Args:
        first: one figure per seed.
        second: of the same seeds in the same order.

    Raises:
        ValueError: another number of them.
    """
    return Spread.of([one - other for one, other in zip(first, second, strict=True)])


def verdict(difference: Spread, least: float = 0.) -> str:
    """Say whether a difference is as large as claimed.

    Args:
        difference: of pairs.
        least: see `Comparison`.

    Returns:
        `HOLDS` where the mean is at least `least` and, less two spreads, above
        0 (above `least` where that is negative); `FAILS` where even the mean and two
        spreads are below `least`; `OPEN` otherwise, and with fewer than three
        pairs.
    """
    if difference.repeats < LEAST_REPEATS or not isfinite(difference.mean):
        return OPEN
    margin = SPREADS * difference.spread
    if difference.mean >= least and difference.mean - margin > min(least, 0.):
        return HOLDS
    return FAILS if difference.mean + margin < least else OPEN
