"""The weighted gather-sum, the one operation behind attention and lifting.

``out[i] = sum_j weights[i, j] * table[index[i, j]]``. Deformable attention
(bags of a fixed size) and the pooling of lifted camera features into a BEV
grid (bags of any size) are both this sum.

There are several ways to compute it, and one contract:

- ``'embedding_bag'`` never stores the gathered rows. The default, on every device.
- ``'gather'`` is made of gathers, products and sums alone, for graphs that leave
  PyTorch: EmbeddingBag has no counterpart in ONNX (the exporter writes a loop over
  the bags), an ``index_add`` has been exported wrongly (pytorch#111159), and TensorRT
  has no form of either. The default while exporting.
- ``'triton'`` is a kernel of ours for CUDA, which needs the package ``triton``.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.ops.modes import is_exporting, require_triton

BACKENDS = ('embedding_bag', 'gather', 'triton')
_chosen: str | None = None  # no ContextVar: torch.compile cannot follow it


@contextmanager
def gather_sum_backend(name: str) -> Iterator[None]:
    """Compute gather-sums in one of the `BACKENDS` meanwhile, in all threads.

    Raises:
        ValueError: another name.
        ModuleNotFoundError: ``'triton'`` without the package.
    """
    global _chosen
    if name not in BACKENDS:
        raise ValueError(f'gather-sum backend must be one of {BACKENDS}, got {name!r}')
    if name == 'triton':
        require_triton('gather-sum backend')
    before, _chosen = _chosen, name
    try:
        yield
    finally:
        _chosen = before


def chosen_gather_sum() -> str | None:
    """Return which of the `BACKENDS` is chosen, None where the rule decides."""
    return _chosen


def gather_sum(table: Tensor, index: Tensor, weights: Tensor,
               offsets: Tensor | None = None) -> Tensor:
    """Sum weighted rows of a table, bag by bag.

    While exporting, ``'gather'`` is the way, unless `gather_sum_backend` chooses.
    A graph cannot cut bags of any size, since that looks at their lengths: it takes
    them in pieces, see `cut_bags` and `sum_of_pieces`.

    Args:
        table: (R, C) rows to gather from.
        index: rows to take: (I, J) integers for I bags of J rows each, or
            (N,) integers with the bags one after another.
        weights: factors of the shape of ``index`` and the dtype of ``table``.
        offsets: (I,) integers of the dtype of ``index``, where each bag of a
            one-dimensional ``index`` starts. An empty bag gives zeros.

    Returns:
        (I, C), dtype of ``table``. Differentiable in ``table`` and
        ``weights``.

    Raises:
        ValueError: the shapes of ``index`` and ``weights`` differ, or
            ``offsets`` is missing or superfluous.
    """
    if index.shape != weights.shape:
        raise ValueError('index and weights must have the same shape, got '
                         f'{tuple(index.shape)} and {tuple(weights.shape)}')
    if (index.dim() == 1) != (offsets is not None):
        raise ValueError('offsets go with a one-dimensional index, and only '
                         f'with it; index has {index.dim()} dimensions')
    backend = _chosen or ('gather' if is_exporting() else 'embedding_bag')
    if backend == 'gather':
        return _gather(table, index, weights) if offsets is None else \
            _gather_bags(table, index, weights, offsets)
    if backend == 'triton':
        from ddp_perception.ops.triton_gather_sum import gather_sum as by_triton
        return by_triton(table, index, weights, offsets)
    kind = table.dtype
    if table.is_cuda and kind == torch.bfloat16 and weights.requires_grad:
        # torch's backward pass for the weights has no such kernel.
        table, weights = table.float(), weights.float()
    return F.embedding_bag(index, table, offsets, mode='sum',
                           per_sample_weights=weights).to(kind)


_AT_ONCE = 8
"""Rows of a bag that are gathered at once."""


def _gather(table: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Sum bags of a fixed size, in float32 at least.

    Some places of the bags at a time: all gathered rows at once would be J times
    as large as the result, and one place at a time makes large graphs.
    """
    table = table.to(torch.promote_types(table.dtype, torch.float32))
    total = table.new_zeros(())
    for rows, factors in zip(index.split(_AT_ONCE, 1), weights.split(_AT_ONCE, 1)):
        taken = table.index_select(0, rows.flatten()).unflatten(0, (-1, rows.shape[1]))
        total = total + (factors[:, None].to(table.dtype) @ taken).squeeze(1)
    return total.to(weights.dtype)


def _gather_bags(table: Tensor, index: Tensor, weights: Tensor,
                 offsets: Tensor) -> Tensor:
    """Sum bags of any size, piece by piece."""
    pieces = cut_bags(offsets, len(index))
    first = pieces.levels[0]
    rows = F.pad(index, (1, 0))[first]
    factors = F.pad(weights, (1, 0))[first]
    wide = torch.promote_types(table.dtype, torch.float32)
    return sum_of_pieces(_gather(table, rows, factors.to(wide)), pieces
                         ).to(table.dtype)


PIECE = 32
"""Rows of a piece."""
LEVELS = 3
"""Sums of sums: a bag may hold PIECE ** LEVELS rows."""


class Pieces(NamedTuple):
    """Bags of any size, cut into pieces of `PIECE` rows; all int32.

    A piece that is not full is filled with the number 0. Bags of more than one
    piece are sums of pieces, which are cut again, and so on: each level sums a
    fixed number of rows, so that gathers and sums are all it takes. Bags of a
    single piece are ready after the first level.

    Attributes:
        levels: `LEVELS` tensors (P, PIECE). The first one's numbers are the
            places in the list of all bags, from 1. The next ones' are rows of
            the table that grows with each level: zeros at 0, then the sums of
            the first level, then those of the second. P is 2 at least: tracing takes
            a length of 0 or 1 for a constant.
        bags: (I,) the row of that table that is the sum of each bag; 0 for an
            empty one.
    """

    levels: tuple[Tensor, ...]
    bags: Tensor


def cut_bags(offsets: Tensor, length: int) -> Pieces:
    """Cut bags into pieces.

    Args:
        offsets: (I,) integers, where each bag starts, in order.
        length: of all bags together.

    Raises:
        ValueError: a bag is longer than PIECE ** LEVELS.
    """
    ends = F.pad(offsets[1:], (0, 1), value=length)
    starts, counts = offsets.long() + 1, (ends - offsets).long()
    if len(counts) and counts.max() > PIECE ** LEVELS:
        raise ValueError(f'a bag may hold {PIECE ** LEVELS} rows, got one of '
                         f'{int(counts.max())}')
    bags = torch.zeros_like(starts)
    levels, row = [], 1
    for _ in range(LEVELS):
        pieces, per_bag, first = _cut(starts, counts)
        bags = torch.where(per_bag == 1, first + row, bags)
        levels.append(pieces)
        starts = first + row
        counts = per_bag.masked_fill(per_bag == 1, 0)
        row += len(pieces)
    return Pieces(tuple(levels), bags.int())


def _cut(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut runs of numbers into pieces.

    Returns:
        The (P, PIECE) int32 numbers, how many pieces each run has, and which
        is its first.
    """
    per_run = (counts + PIECE - 1) // PIECE
    first = per_run.cumsum(0) - per_run
    run = torch.arange(len(counts), device=counts.device).repeat_interleave(per_run)
    within = (torch.arange(len(run), device=run.device) - first[run]) * PIECE
    place = within[:, None] + torch.arange(PIECE, device=run.device)
    numbers = (starts[run][:, None] + place).masked_fill(
        place >= counts[run][:, None], 0).int()
    return F.pad(numbers, (0, 0, 0, max(2 - len(numbers), 0))), per_run, first


def sum_of_pieces(sums: Tensor, pieces: Pieces) -> Tensor:
    """Sum the pieces of each bag.

    Args:
        sums: (P, C) of the first level.
        pieces: from `cut_bags`.

    Returns:
        (I, C), of the same dtype.
    """
    table = F.pad(sums, (0, 0, 1, 0))
    for level in pieces.levels[1:]:
        total = sum(table.index_select(0, rows.flatten()).unflatten(
            0, (-1, rows.shape[1])).sum(1) for rows in level.split(_AT_ONCE, 1))
        table = torch.cat([table, total])
    return table.index_select(0, pieces.bags)
