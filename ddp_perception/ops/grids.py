"""Axis-aligned grids in metres, and maps carried from one grid to another."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.ops.axis import Axis
from ddp_perception.ops.modes import is_exporting


@dataclass(frozen=True)
class BEVGrid:
    """Cells of a bird's-eye view: dim -2 grows with x, dim -1 with y.

    Args:
        xbound: (least x, greatest x, cell size), metres.
        ybound: (least y, greatest y, cell size), metres.

    Raises:
        ValueError: a bound that does not suit; see `Axis.of`.
    """

    xbound: Axis
    ybound: Axis

    def __post_init__(self) -> None:
        for name in ('xbound', 'ybound'):
            object.__setattr__(self, name, Axis.of(getattr(self, name), name))

    @classmethod
    def of(cls, bounds: BEVGrid | Sequence[Sequence[float]]) -> BEVGrid:
        """Make a grid of a (xbound, ybound) pair, or pass a grid through."""
        if isinstance(bounds, BEVGrid):
            return bounds
        if len(bounds) != 2:
            raise ValueError('a grid is a pair of bounds, of x and of y, got '
                             f'{bounds!r}')
        xbound, ybound = bounds
        return cls(Axis.of(xbound, 'xbound'), Axis.of(ybound, 'ybound'))

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x and along y."""
        return self.xbound.cells, self.ybound.cells

    def is_close(self, other: BEVGrid) -> bool:
        """Whether both have the same cells, but for rounding."""
        return (self.xbound.is_close(other.xbound)
                and self.ybound.is_close(other.ybound))

    def centres(self) -> tuple[Tensor, Tensor]:
        """Return x of the (X,) cell centres and y of the (Y,) ones, float32."""
        x, y = (axis.low + axis.step * (torch.arange(axis.cells, dtype=torch.float32)
                                        + 0.5) for axis in (self.xbound, self.ybound))
        return x, y


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

    Both grids have the same axes, so interpolation is a product with one
    matrix per axis. A graph that leaves PyTorch gets these products in place of
    GridSample, which TensorRT 10.14 and 11.1 compile wrongly (NVIDIA/TensorRT
    #4813, #4646).

    Source: BEVFusion, arXiv:2205.13542 (grid transform of its map head).
    """
    axes = [(centre - low) / (high - low) * 2 - 1
            for centre, (low, high, _) in zip(
                target.centres(), (source.xbound, source.ybound), strict=True)]
    wide = torch.promote_types(maps.dtype, torch.float32)
    if is_exporting():
        rows, columns = (_taps(axis.to(maps.device, wide), length, padding)
                         for axis, length in zip(axes, maps.shape[-2:]))
        return (rows @ maps.to(wide) @ columns.mT).to(maps.dtype)
    row, col = torch.meshgrid(*axes, indexing='ij')
    points = torch.stack([col, row], -1).to(maps.device, wide)
    return F.grid_sample(maps.to(wide), points.expand(maps.shape[0], -1, -1, -1),
                         mode='bilinear', padding_mode=padding,
                         align_corners=False).to(maps.dtype)


def _taps(axis: Tensor, length: int, padding: str) -> Tensor:
    """Return the (T, length) weights of cells at T positions in [-1, 1].

    The weight is the hat function of the distance: none beyond one cell.
    """
    place = ((axis + 1) * length - 1) / 2
    if padding == 'border':
        place = place.clamp(0, length - 1)
    cell = torch.arange(length, device=axis.device, dtype=axis.dtype)
    return (1 - (place[:, None] - cell).abs()).relu()


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
        # Whole micro-cells, so that rounding cannot decide about a border. In
        # Python, so that a graph that is exported holds the cells themselves.
        cell = torch.tensor([
            math.floor(round((first - low + pitch * (index + 0.5)) / step, 6))
            for index in range(length)])
        inside = (cell >= 0) & (cell < count)
        maps = maps.index_select(dim, cell.clamp(0, count - 1).to(maps.device))
        shape = (-1, 1) if dim == -2 else (-1,)
        maps = maps * inside.to(maps).reshape(shape)
    return maps
