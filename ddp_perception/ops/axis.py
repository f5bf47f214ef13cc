"""One axis of a grid, and the one rule for its bounds."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CELL_TOLERANCE = 1e-3
"""How far the cells of an axis may be from a whole number, and two axes of a
scene apart, in cells."""


class Axis(NamedTuple):
    """Cells of equal size in a row, metres.

    Attributes:
        low: where the first cell begins.
        high: where the last one ends.
        step: length of a cell.
    """

    low: float
    high: float
    step: float

    @classmethod
    def of(cls, bound: Sequence[float], name: str) -> Axis:
        """Check a (min, max, step) bound.

        Args:
            bound: three numbers.
            name: what the bound is called in messages.

        Raises:
            ValueError: it is not three numbers, is empty or backward, or is no
                whole number of cells long.
        """
        if len(bound) != 3:
            raise ValueError(f'{name} must be (min, max, step), got {tuple(bound)}')
        axis = cls(*(float(value) for value in bound))
        if not (axis.step > 0 and axis.high > axis.low):
            raise ValueError(f'{name} must be (min, max, step) with max > min and step '
                             f'> 0, got {tuple(bound)}')
        cells = (axis.high - axis.low) / axis.step
        if abs(cells - round(cells)) > CELL_TOLERANCE or round(cells) < 1:
            raise ValueError(f'{name} must span a whole number of cells, got '
                             f'{tuple(bound)}, which is {cells:.3f} cells')
        return axis

    @property
    def cells(self) -> int:
        """Number of cells."""
        return round((self.high - self.low) / self.step)

    def is_close(self, other: Axis) -> bool:
        """Whether both have the same cells, but for rounding."""
        return all(abs(one - two) <= CELL_TOLERANCE * self.step
                   for one, two in zip(self, other, strict=True))
