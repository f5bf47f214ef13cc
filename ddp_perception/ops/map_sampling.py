"""Weighted bilinear samples of a map: what deformable attention reads.

There are several ways to compute them, and one contract, that of `sample_map`:

- ``'gather_sum'``: four weighted rows for each sample, by `gather_sum` and its own
  backends. The only one for graphs that leave PyTorch, and the default on a CPU, where
  training takes a backward pass of its own, without sorting all the rows.
- ``'triton'``: kernels of ours for CUDA, the default there where the package
  ``triton`` is installed, as it is with torch's own builds for CUDA.
- ``'grid_sample'``: `torch.nn.functional.grid_sample`, head by head.
- a function that keeps the contract, from outside of this room: a compiled kernel.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.ops.bilinear import bilinear_bags, first_rows
from ddp_perception.ops.gather_sum import chosen_gather_sum, gather_sum
from ddp_perception.ops.modes import (
    has_triton,
    is_compiling,
    is_exporting,
    require_triton,
)
from ddp_perception.ops.sampling_gradient import SampleByBags

MapSampling = Callable[[Tensor, Tensor, Tensor, Tensor, tuple[int, int]], Tensor]
"""(value, col, row, attention, size) to samples; see `sample_map`."""

_known_triton = cache(has_triton)  # asked in every pass
_chosen: str | MapSampling | None = None  # no ContextVar: see `gather_sum`


@contextmanager
def map_sampling(way: str | MapSampling) -> Iterator[None]:
    """Sample maps in one of the `MAP_SAMPLINGS` meanwhile, in all threads.

    Args:
        way: its name, or a function that does what `sample_map` does.

    Raises:
        ValueError: another name.
        ModuleNotFoundError: ``'triton'`` without the package.
    """
    global _chosen
    if isinstance(way, str) and way not in MAP_SAMPLINGS:
        raise ValueError(f'map sampling must be one of {tuple(MAP_SAMPLINGS)} or a '
                         f'function, got {way!r}')
    if way == 'triton':
        require_triton('map sampling')
    before, _chosen = _chosen, way
    try:
        yield
    finally:
        _chosen = before


def sample_map(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
               size: tuple[int, int]) -> Tensor:
    """Read weighted bilinear samples, head by head.

    Args:
        value: (B, Q, heads, C) maps with Q = H * W, row by row.
        col, row: (B, N, heads, points) where N cells sample, in cells; 0 is the
            centre of the first. Outside of the map there is zero.
        attention: weights of the samples, of that shape and type.
        size: (H, W), at least two cells each way.

    Returns:
        (B, N, heads, C), dtype of ``value``. Differentiable once in all four.
    """
    way = _chosen if _chosen is not None else _default(value)
    if isinstance(way, str):
        way = MAP_SAMPLINGS[way]
    return way(value, col, row, attention, size)


def _default(value: Tensor) -> str:
    """Return the way for a map where none is chosen."""
    if (value.device.type == 'cuda' and chosen_gather_sum() is None
            and not (is_exporting() or is_compiling()) and _known_triton()):
        return 'triton'
    return 'gather_sum'


def sample_by_bags(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                   size: tuple[int, int]) -> Tensor:
    """Do the work of `sample_map` as one gather-sum."""
    if (torch.is_grad_enabled() and value.device.type == 'cpu'
            and chosen_gather_sum() in (None, 'embedding_bag')
            and not (is_exporting() or is_compiling())):
        return SampleByBags.apply(value, col, row, attention, size)
    index, weights = bilinear_bags(col, row, attention, size, first_rows(value))
    out = gather_sum(value.reshape(-1, value.shape[3]), index.flatten(3).flatten(0, 2),
                     weights.flatten(3).flatten(0, 2).to(value.dtype))
    return out.view(*col.shape[:3], value.shape[3])


def sample_by_grid(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                   size: tuple[int, int]) -> Tensor:
    """Do the work of `sample_map` by grid_sample, in the type of the positions."""
    maps = value.to(col.dtype).permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, size)
    # -1 and 1 are the outer borders of the first and the last cell.
    grid = torch.stack([(2 * col + 1) / size[1] - 1, (2 * row + 1) / size[0] - 1], -1)
    samples = F.grid_sample(maps, grid.transpose(1, 2).flatten(0, 1), mode='bilinear',
                            padding_mode='zeros', align_corners=False)
    weighted = samples * attention.transpose(1, 2).flatten(0, 1)[:, None]
    out = weighted.sum(3).unflatten(0, (len(value), -1))  # B heads C N
    return out.permute(0, 3, 1, 2).to(value.dtype)


def _by_triton(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
               size: tuple[int, int]) -> Tensor:
    from ddp_perception.ops.triton_map_sampling import sample_by_triton
    return sample_by_triton(value, col, row, attention, size)


MAP_SAMPLINGS: dict[str, MapSampling] = {
    'gather_sum': sample_by_bags, 'triton': _by_triton, 'grid_sample': sample_by_grid}
