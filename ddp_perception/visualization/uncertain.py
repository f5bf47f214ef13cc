"""How uncertainty is named and coloured in pictures."""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

UNKNOWN = '0.12'
"""Grey level of pixels without a value."""
LABELS = {'entropy': 'entropy [nats]',
          'mutual_information': 'mutual information [nats]',
          'disagreement': 'share of pairs that disagree',
          'changes': 'changes over the steps', 'spread': 'standard deviation'}
UNITS = {'metres': 'm', 'pixels': 'px'}


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty as a picture shows it.

    Args:
        values: (G, H, W) or (H, W), greater where less is known; of several
            groups the greatest is shown.
        label: what it is, with its unit.
    """

    values: np.ndarray
    label: str

    @classmethod
    def of_kind(cls, values: np.ndarray, kind: str, unit: str = '') -> Uncertainty:
        """Label what a head calls by its kind.

        Args:
            values: see the class.
            kind: one of `ddp_perception.diffusion.UNCERTAINTIES`, or another
                name, which is shown as it is.
            unit: unit of a spread: 'probability', 'metres', ...
        """
        label = LABELS.get(kind, kind)
        if kind == 'spread' and unit:
            label += (' of the probability' if unit == 'probability'
                      else f' [{UNITS.get(unit, unit)}]')
        return cls(values, label)

    @property
    def plane(self) -> np.ndarray:
        """(H, W) float."""
        values = np.asarray(self.values, float)
        return values if values.ndim == 2 else values.max(0)


def colours(name: str) -> Colormap:
    """Return a matplotlib colour map in which unknown values are dark grey."""
    from matplotlib import colormaps
    return colormaps[name].with_extremes(bad=UNKNOWN)


def upper_end(values: np.ndarray, share: float = 99.5) -> float:
    """Return where colours end: a percentile of the finite values, or 1."""
    known = np.ma.masked_invalid(np.ma.asarray(values, dtype=float))
    return float(np.percentile(known.compressed(), share)) or 1. if known.count() \
        else 1.
