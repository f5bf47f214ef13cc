"""Axis-aligned grids in metres, and maps carried from one grid to another."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class BEVGrid:
    """Cells of a bird's-eye view: dim -2 grows with x, dim -1 with y.

    Args:
        xbound: (least x, greatest x, cell size), metres.
        ybound: the same for y.

    Raises:
        ValueError: a bound that is empty, or that is not a whole number of
            cells long.
    """

    xbound: tuple[float, float, float]
    ybound: tuple[float, float, float]

    def __post_init__(self):
        for name in ('xbound', 'ybound'):
            bound = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, bound)
            if len(bound) != 3 or bound[2] <= 0 or bound[1] <= bound[0]:
                raise ValueError(f'{name} must be (min, max, step) with max > min '
                                 f'and step > 0, got {bound}')
            cells = (bound[1] - bound[0]) / bound[2]
            if abs(cells - round(cells)) > 1e-3:
                raise ValueError(f'{name} must span a whole number of cells, got '
                                 f'{bound}, which is {cells:.3f} cells')

    @classmethod
    def of(cls, bounds: BEVGrid | Sequence[Sequence[float]]) -> BEVGrid:
        """Make a grid of a (xbound, ybound) pair, or pass a grid through."""
        return bounds if isinstance(bounds, cls) else cls(*map(tuple, bounds))

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        return tuple(round((high - low) / step)
                     for low, high, step in (self.xbound, self.ybound))

    def centres(self) -> tuple[Tensor, Tensor]:
        """Return x of the (X,) cell centres and y of the (Y,) ones, float32."""
        return tuple(low + step * (torch.arange(count, dtype=torch.float32) + 0.5)
                     for (low, _, step), count in zip(
                         (self.xbound, self.ybound), self.shape, strict=True))


def bilinear_resample(maps: Tensor, source: BEVGrid, target: BEVGrid,
                      padding: str = 'zeros') -> Tensor:
    """Interpolate maps at the cell centres of another grid.

    Args:
        maps: (B, C, *n) floats that cover the extent of ``source``; their
            resolution need not be that of ``source``.
        padding: what lies outside, ``'zeros'`` or ``'border'``.

    Returns:
        (B, C, *target.shape), of the same dtype. Positions are float32
        whatever the dtype: in bfloat16 they would be off by 5 cm.

    Source: BEVFusion, arXiv:2205.13542 (grid transform of its map head).
    """
    axes = [(centre - low) / (high - low) * 2 - 1
            for centre, (low, high, _) in zip(
                target.centres(), (source.xbound, source.ybound), strict=True)]
    row, col = torch.meshgrid(*axes, indexing='ij')
    wide = torch.promote_types(maps.dtype, torch.float32)
    points = torch.stack([col, row], -1).to(maps.device, wide)
    return F.grid_sample(maps.to(wide), points.expand(maps.shape[0], -1, -1, -1),
                         mode='bilinear', padding_mode=padding,
                         align_corners=False).to(maps.dtype)


def nearest_resample(maps: Tensor, source: BEVGrid, target: BEVGrid) -> Tensor:
    """Look maps up at the cell centres of another grid; zero outside.

    A centre on the border of two cells takes the one with larger coordinates.

    Args:
        maps: (B, C, *source.shape), any dtype.

    Returns:
        (B, C, *target.shape), of the same dtype.
    """
    if tuple(maps.shape[-2:]) != source.shape:
        raise ValueError(f'maps must have the shape {source.shape} of their grid, '
                         f'got {tuple(maps.shape)}')
    for dim, (first, _, pitch), length, (low, _, step), count in zip(
            (-2, -1), (target.xbound, target.ybound), target.shape,
            (source.xbound, source.ybound), source.shape, strict=True):
        # Whole micro-cells, so that rounding cannot decide about a border.
        place = (first - low + pitch * (torch.arange(length).double() + 0.5)) / step
        cell = place.round(decimals=6).floor().long()
        inside = (cell >= 0) & (cell < count)
        maps = maps.index_select(dim, cell.clamp(0, count - 1).to(maps.device))
        shape = (-1, 1) if dim == -2 else (-1,)
        maps = maps * inside.to(maps).reshape(shape)
    return maps
