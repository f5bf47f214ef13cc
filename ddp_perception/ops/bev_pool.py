"""Pool lifted camera features into a BEV grid without ever lifting them.

Lift-Splat-Shoot (Philion and Fidler, ECCV 2020, arXiv:2008.05711) multiplies
the features of each pixel by each of its depth probabilities and sums, in each
cell of the grid, the products that land there. The products are never needed:
a cell is a bag of (pixel, depth) pairs, and its sum is the weighted
gather-sum of the pixels' features with the depth probabilities as weights.

Which pair lands in which cell depends on the calibration alone, so
``bags_from_cells`` may be called once and its result used again.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.ops.axis import Axis
from ddp_perception.ops.gather_sum import (
    Pieces,
    cut_bags,
    gather_sum,
    gather_sum_backend,
    sum_of_pieces,
)

_LARGEST = 2 ** 31
"""Above all int32 numbers."""


@dataclass(frozen=True)
class VoxelGrid:
    """A regular grid in 3D: ``(min, max, step)`` per axis, metres.

    Raises:
        ValueError: a bound that does not suit; see `Axis.of`.
    """

    xbound: Axis
    ybound: Axis
    zbound: Axis

    def __post_init__(self) -> None:
        """Check each axis before anything is computed from it."""
        for name in ('xbound', 'ybound', 'zbound'):
            object.__setattr__(self, name, Axis.of(getattr(self, name), name))

    @property
    def bounds(self) -> tuple[Axis, Axis, Axis]:
        """The three axes."""
        return self.xbound, self.ybound, self.zbound

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along x, y and z."""
        return self.xbound.cells, self.ybound.cells, self.zbound.cells

    @property
    def num_cells(self) -> int:
        """Cells in total."""
        return math.prod(self.shape)

    def from_metric(self) -> Tensor:
        """Return the (4, 4) float64 transform from metres to cell units.

        A point of cell (i, j, k) has its result in [i, i + 1) x [j, j + 1) x
        [k, k + 1).
        """
        bounds = torch.tensor(self.bounds, dtype=torch.float64)
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3] = torch.diag(1 / bounds[:, 2])
        matrix[:3, 3] = -bounds[:, 0] / bounds[:, 2]
        return matrix


class BEVBags(NamedTuple):
    """Which (pixel, depth) pairs each cell of a grid sums; all int32.

    Attributes:
        order: (K,) positions in the flat (N, D, P) depth probabilities, cell
            after cell; pairs outside the grid are left out.
        pixels: (K,) the flat (N, P) pixel of each.
        offsets: (num_cells,) where the pairs of each cell start.
        cells: (N, D, P) the flat cell of every pair, -1 outside the grid.
    """

    order: Tensor
    pixels: Tensor
    offsets: Tensor
    cells: Tensor


def cells_from_coordinates(coordinates: Tensor, shape: Sequence[int],
                           truncate: bool = False) -> Tensor:
    """Number the grid cell that each point lies in.

    Args:
        coordinates: (N, 3, ...) x, y, z in cell units (`VoxelGrid.from_metric`).
        shape: cells along x, y and z.
        truncate: round toward zero rather than down, as BEVFusion's released
            code does. Points up to one cell outside the lower border of an
            axis then land in its first cell.

    Returns:
        (N, ...) int32: ``(k * nx + i) * ny + j`` for cell (i, j, k), and -1
        for a point outside the grid or with a coordinate that is not finite.
    """
    nx, ny, nz = shape
    out = torch.empty(coordinates[:, 0].shape, dtype=torch.int32,
                      device=coordinates.device)
    return _write_cells(out, coordinates, (nx, ny, nz), truncate)


def _write_cells(out: Tensor, coordinates: Tensor, shape: Sequence[int], truncate: bool
                 ) -> Tensor:
    """Do the work of `cells_from_coordinates`, and write into ``out``."""
    nx, ny, nz = shape
    whole = torch.trunc if truncate else torch.floor
    i, j, k = map(whole, coordinates.unbind(1))
    # As floats, for far points would overflow an integer; and by one comparison, which
    # takes a CPU as long as five sums do.
    inside = torch.maximum(_beyond(i, nx), _beyond(j, ny))
    inside = torch.maximum(inside, _beyond(k, nz), out=inside) <= 0  # not so for NaN
    if nx * ny * nz < 2 ** 24:  # exact in float32, and fewer passes
        flat = j.add_(i, alpha=ny)
        out.copy_(flat.add_(k, alpha=nx * ny) if nz > 1 else flat)
    else:
        i, j, k = (part.to(torch.int32) for part in (i, j, k))
        out.copy_((k * nx + i) * ny + j)
    # -1 outside, whatever is there: a CPU fills by masks one number at a time.
    return out.add_(1).mul_(inside.to(torch.int32)).sub_(1)


def _beyond(cell: Tensor, cells: int) -> Tensor:
    """Return how far a whole number is outside of 0 to ``cells`` - 1, or at most 0."""
    middle = (cells - 1) / 2
    return (cell - middle).abs_().sub_(middle)


def cells_along_rays(starts: Tensor, rays: Tensor, depths: Tensor,
                     shape: Sequence[int], truncate: bool = False) -> Tensor:
    """Number the grid cell of each depth of each pixel.

    Args:
        starts: (N, 3) of each image in cell units (`VoxelGrid.from_metric`).
        rays: (N, 3, P) of each pixel; ``start + depth * ray`` is its place at a depth.
        depths: (D,), the same for all.
        shape, truncate: see `cells_from_coordinates`.

    Returns:
        (N, D, P) int32, see `cells_from_coordinates`.
    """
    out = torch.empty(len(rays), len(depths), rays.shape[2], dtype=torch.int32,
                      device=rays.device)
    # One image's coordinates at a time stay in the cache of a CPU.
    for cells, start, ray in zip(out.split(1), starts.split(1), rays.split(1),
                                 strict=True):
        _write_cells(cells, points_along_rays(start, ray, depths), shape, truncate)
    return out


def points_along_rays(starts: Tensor, rays: Tensor, depths: Tensor) -> Tensor:
    """Return (N, 3, D, P): each pixel at each depth; see `cells_along_rays`."""
    return torch.addcmul(starts[:, :, None, None], rays[:, :, None], depths[:, None])


def bags_from_cells(cells: Tensor, num_cells: int, width: int = 1) -> BEVBags:
    """Gather the (pixel, depth) pairs of each cell, for `bev_pool`.

    Pixels above each other mostly see the same cell at a depth. Such runs are sorted,
    a tenth or less of the pairs, and then written out.

    Args:
        cells: (N, D, P) integers, the cell of each of the D depths of each of
            the P pixels of N images, negative where it is in none.
        num_cells: cells of the grid.
        width: of the images, whose pixels are row by row. Any divisor of P gives the
            same pairs, another order of sums and more or fewer runs.

    Raises:
        ValueError: ``cells`` has another number of dimensions, or more pairs
            than int32 can count, or P is no multiple of ``width``.
    """
    if cells.dim() != 3:
        raise ValueError('cells must be (images, depths, pixels), got shape '
                         f'{tuple(cells.shape)}')
    if cells.numel() >= 2 ** 31:
        raise ValueError('at most 2^31 - 1 (pixel, depth) pairs are possible, '
                         f'got {cells.numel()}')
    if width < 1 or cells.shape[2] % width:
        raise ValueError(f'{cells.shape[2]} pixels are no images of width {width}')
    cells = cells.to(torch.int32)
    of_run, start, length = _runs(cells, width)
    if len(of_run) and of_run.max() >= num_cells:
        raise ValueError(f'cells must be below num_cells = {num_cells}, got '
                         f'{int(of_run.max())}')
    # What is outside comes last. Stable, so that sums repeat exactly.
    of_run = of_run.masked_fill(of_run < 0, num_cells)
    rank = torch.sort(of_run, stable=True).indices
    pairs = length.new_zeros(num_cells + 1).index_add_(0, of_run, length)[:num_cells]
    offsets = pairs.cumsum(0, dtype=torch.int32) - pairs
    rank = rank[:int((of_run < num_cells).sum())]
    return BEVBags(*_written_out(
        cells.shape, width, start.index_select(0, rank), length.index_select(0, rank)),
        offsets, cells)


def _runs(cells: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return cell, first place and length of runs of pixels below each other.

    Places count image by image, depth by depth, column by column, pixel by pixel.
    """
    images, depths, pixels = cells.shape
    columns = cells.view(images, depths, -1, width).transpose(2, 3).flatten()
    begins = torch.ones_like(columns, dtype=torch.bool)
    torch.ne(columns[1:], columns[:-1], out=begins[1:])
    begins[::pixels // width] = True  # at the top of each column
    start = begins.nonzero().squeeze(1).to(torch.int32)
    length = torch.diff(start, append=start.new_tensor([columns.numel()]))
    return columns.index_select(0, start), start, length


def _written_out(shape: Sequence[int], width: int, start: Tensor, length: Tensor
                 ) -> tuple[Tensor, Tensor]:
    """Return ``order`` and ``pixels`` of `BEVBags` for runs in the order of cells."""
    _, depths, pixels = shape
    column, row = start // (pixels // width), start % (pixels // width)
    depth, place = column // width, column % width + row * width
    # A run's pairs are a row of the image apart.
    kind = torch.int32 if math.prod(shape) * width < _LARGEST else torch.int64
    before = length.cumsum(0, dtype=kind) - length
    count = int(before[-1] + length[-1]) if len(length) else 0
    run = torch.repeat_interleave(length, output_size=count)
    pair = torch.arange(count, dtype=kind, device=start.device)

    def written(first: Tensor) -> Tensor:
        first = first - before * width
        return first.index_select(0, run).add_(pair, alpha=width).to(torch.int32)
    return written(depth * pixels + place), written(depth // depths * pixels + place)


def bev_pool(depth: Tensor, features: Tensor, bags: BEVBags) -> Tensor:
    """Sum, in each cell, depth probability times feature over its pairs.

    Args:
        depth: (N, D, P) probability of each depth of each pixel.
        features: (N, C, P) of each pixel, same dtype.
        bags: cells of one sample, from `bags_from_cells`.

    Returns:
        (num_cells, C), zero in an empty cell. Differentiable once in ``depth``
        and ``features``.

    Raises:
        ValueError: the shapes do not fit each other or ``bags``.
    """
    if depth.shape != bags.cells.shape:
        raise ValueError(f'depth has shape {tuple(depth.shape)} and the bags '
                         f'were made for {tuple(bags.cells.shape)}')
    if (features.dim() != 3 or features.shape[0] != depth.shape[0]
            or features.shape[2] != depth.shape[2]):
        raise ValueError('features must be (images, channels, pixels) of the '
                         f'images and pixels of depth {tuple(depth.shape)}, '
                         f'got {tuple(features.shape)}')
    table = features.transpose(1, 2).flatten(0, 1)  # (N P, C)
    if not depth.requires_grad and not table.requires_grad:
        return _pool(depth, table, bags)
    return _Pool.apply(depth, table, bags)


class PieceBags(NamedTuple):
    """The pairs of `BEVBags` in pieces of a fixed length; all int32.

    This is the form in which a graph that leaves PyTorch takes them as inputs:
    with it pooling is gathers, products and sums, all of fixed lengths. Adding
    each product to its cell instead would be a ScatterND that adds, which
    TensorRT does not have.

    Attributes:
        pairs: (P, PIECE) places in the flat (N, D, P) depth probabilities,
            counted from 1; 0 fills a piece.
        pixels: (P, PIECE) the flat (N, P) pixel of each.
        sums: further levels of `Pieces`, (P', PIECE) each.
        cells: (num_cells,) the sum that each cell takes; see `Pieces.bags`.
    """

    pairs: Tensor
    pixels: Tensor
    sums: tuple[Tensor, ...]
    cells: Tensor

    @classmethod
    def of(cls, bags: BEVBags) -> PieceBags:
        """Cut the bags of a sample.

        Raises:
            ValueError: a cell has more pairs than pieces can hold.
        """
        pieces = cut_bags(bags.offsets, len(bags.order))
        first, *others = pieces.levels
        return cls(F.pad(bags.order + 1, (1, 0))[first],
                   F.pad(bags.pixels, (1, 0))[first], tuple(others), pieces.bags)


def pool_pieces(depth: Tensor, features: Tensor, pieces: PieceBags) -> Tensor:
    """Do the work of `bev_pool` by gathers, products and sums alone.

    Args:
        depth: (N, D, P), see `bev_pool`.
        features: (N, C, P).
        pieces: bags of the same sample.

    Returns:
        (num_cells, C).
    """
    table = features.transpose(1, 2).flatten(0, 1)  # (N P, C)
    weights = F.pad(depth.flatten(), (1, 0))
    weights = weights.index_select(0, pieces.pairs.flatten()).view_as(pieces.pairs)
    with gather_sum_backend('gather'):
        first = gather_sum(table, pieces.pixels, weights)
    return sum_of_pieces(first, Pieces((pieces.pairs, *pieces.sums), pieces.cells))


def _pool(depth: Tensor, table: Tensor, bags: BEVBags) -> Tensor:
    weights = depth.reshape(-1).index_select(0, bags.order)
    return gather_sum(table.contiguous(), bags.pixels, weights, bags.offsets)


class _Pool(torch.autograd.Function):
    """`bev_pool` with a backward pass that needs no sorting.

    The gradient of a pixel's features is again a gather-sum: over the pixel's
    D cells, of the cells' gradients with the same weights. Its bags all have D
    entries and stand ready in ``bags.cells``, whereas the general backward of
    ``embedding_bag`` sorts the pairs by pixel first.
    """

    @staticmethod
    def forward(ctx: Any, depth: Tensor, table: Tensor, bags: BEVBags) -> Tensor:
        ctx.save_for_backward(depth, table, bags.cells)
        return _pool(depth, table, bags)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        depth, table, cells = ctx.saved_tensors
        images, depths, pixels = cells.shape
        index = cells.transpose(1, 2).reshape(-1, depths)  # (N P, D)
        outside = index < 0
        index = index.masked_fill(outside, 0)
        weights = depth.transpose(1, 2).reshape(-1, depths)
        weights = weights.masked_fill(outside, 0)
        weights.requires_grad_(ctx.needs_input_grad[0])
        # torch 2.1 has no gradient of the weights alone. That of the rows is not asked
        # for, and so costs nothing.
        rows = grad.detach().contiguous().requires_grad_(ctx.needs_input_grad[0])
        with torch.enable_grad():
            grad_table = F.embedding_bag(index, rows, mode='sum',
                                         per_sample_weights=weights)
        grad_depth = None
        if ctx.needs_input_grad[0]:
            # d/dw of <table, sum_d w_d grad[cell_d]> is <table, grad[cell_d]>,
            # the gradient of the depth probability that weighs that cell.
            grad_depth, = torch.autograd.grad(grad_table, weights,
                                              table.contiguous())
            grad_depth = grad_depth.masked_fill(outside, 0)
            grad_depth = grad_depth.view(images, pixels, depths).mT
        return grad_depth, grad_table.detach(), None
