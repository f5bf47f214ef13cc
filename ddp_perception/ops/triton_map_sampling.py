"""Weighted bilinear samples of a map as Triton kernels: positions in, samples out.

A program takes the samples of some cells for one head. It finds the four cells around
each position itself, so that no indices and no weights of corners are ever stored. Sums
are float32 whatever the map is; the map's gradient is made by atomic additions, in no
fixed order.

With ``TRITON_INTERPRET=1`` in the environment, before this module is imported, the
kernels run on the CPU, slowly.
"""
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.ops.triton_parts import add, require_cuda

_CELLS = 32
"""Cells of a program."""


def sample_by_triton(value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                     size: tuple[int, int]) -> Tensor:
    """Do what `ddp_perception.ops.sample_map` does.

    Raises:
        ValueError: the tensors are on no CUDA device, and Triton does not interpret.
    """
    require_cuda('map sampling', value)
    return _SampleMap.apply(value, col, row, attention, size)


class _SampleMap(torch.autograd.Function):
    """(B, Q, heads, C) maps, (B, N, heads, points) positions and weights."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                size: tuple[int, int]) -> Tensor:
        parts = [part.contiguous() for part in (value, col, row, attention)]
        ctx.save_for_backward(*parts)
        ctx.size = size
        out = value.new_empty(*col.shape[:3], value.shape[3])
        if out.numel():
            _sample[_programs(col)](*parts, out, *_sizes(parts, size),
                                    **_constants(parts))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        parts = ctx.saved_tensors
        value, col = parts[:2]
        of_value = torch.zeros_like(value, dtype=torch.float32)
        others = [torch.zeros_like(part) for part in parts[1:]]
        if grad.numel():
            _spread[_programs(col)](*parts, grad.contiguous(), of_value, *others,
                                    *_sizes(parts, ctx.size), **_constants(parts))
        return of_value.to(value.dtype), *others, None


def _programs(col: Tensor) -> tuple[int, int, int]:
    return triton.cdiv(col.shape[1], _CELLS), col.shape[2], col.shape[0]


def _sizes(parts: list[Tensor], size: tuple[int, int]) -> tuple[int, ...]:
    value, col = parts[:2]
    return value.shape[1], col.shape[1], value.shape[2], value.shape[3], *size


def _constants(parts: list[Tensor]) -> dict[str, int]:
    return dict(POINTS=parts[1].shape[3], CELLS=_CELLS,
                WIDTH=triton.next_power_of_2(parts[0].shape[3]))


@triton.jit
def _taps(position, length):  # type: ignore
    """First cell of the pair around a position, and its distance from there."""
    cell = tl.minimum(tl.maximum(tl.floor(position), 0), length - 2)
    return cell.to(tl.int32), position - cell


@triton.jit
def _hat(distance):  # type: ignore
    return tl.maximum(1 - tl.abs(distance), 0)


@triton.jit
def _slope(distance):  # type: ignore
    """Derivative of `_hat`, 0 at its corners."""
    inside = tl.abs(distance) < 1
    return tl.where(inside & (distance < 0), 1., tl.where(
        inside & (distance > 0), -1., 0.))


@triton.jit
def _sampled_at(col, row, attention, place, there, height, width):  # type: ignore
    """First column and row of a sample's four cells, its distances, its weight."""
    x, dx = _taps(tl.load(col + place, mask=there, other=0.).to(tl.float32), width)
    y, dy = _taps(tl.load(row + place, mask=there, other=0.).to(tl.float32), height)
    weight = tl.load(attention + place, mask=there, other=0.).to(tl.float32)
    return x, dx, y, dy, weight


@triton.jit
def _read(first, inside):  # type: ignore
    return tl.load(first, mask=inside, other=0.).to(tl.float32)


@triton.jit
def _sample(value, col, row, attention, out, map_cells, cells, heads,  # type: ignore
            channels, height, width, POINTS: tl.constexpr, CELLS: tl.constexpr,
            WIDTH: tl.constexpr):
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, WIDTH)
    there = cell < cells
    inside = there[:, None] & (channel < channels)[None]
    query = (image * cells + cell) * heads + head
    step = heads * channels  # from a cell of the map to the next
    below = width * step
    total = tl.where(inside, 0., 0.)  # not tl.zeros, for the reason given at `add`
    for point in range(POINTS):
        place = query * POINTS + point
        x, dx, y, dy, weight = _sampled_at(col, row, attention, place, there, height,
                                           width)
        left, right = _hat(dx), _hat(dx - 1)
        top, bottom = _hat(dy) * weight, _hat(dy - 1) * weight
        corner = (image * map_cells + y * width + x) * step + head * channels
        first = value + corner[:, None] + channel[None]
        total += (top * left)[:, None] * _read(first, inside)
        total += (top * right)[:, None] * _read(first + step, inside)
        total += (bottom * left)[:, None] * _read(first + below, inside)
        total += (bottom * right)[:, None] * _read(first + below + step, inside)
    tl.store(out + query[:, None] * channels + channel[None], total, mask=inside)


@triton.jit
def _corner(first, grads, weight, of_first, inside):  # type: ignore
    """Give a corner its gradient; return its product with the samples' gradients."""
    values = _read(first, inside)
    tl.atomic_add(of_first, weight[:, None] * grads, mask=inside)
    return tl.reduce(grads * values, 1, add)


@triton.jit
def _spread(value, col, row, attention, grad, of_value, of_col, of_row,  # type: ignore
            of_attention, map_cells, cells, heads, channels, height, width,
            POINTS: tl.constexpr, CELLS: tl.constexpr, WIDTH: tl.constexpr):
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, WIDTH)
    there = cell < cells
    inside = there[:, None] & (channel < channels)[None]
    query = (image * cells + cell) * heads + head
    step = heads * channels
    below = width * step
    grads = _read(grad + query[:, None] * channels + channel[None], inside)
    for point in range(POINTS):
        place = query * POINTS + point
        x, dx, y, dy, weight = _sampled_at(col, row, attention, place, there, height,
                                           width)
        left, right, top, bottom = _hat(dx), _hat(dx - 1), _hat(dy), _hat(dy - 1)
        corner = (image * map_cells + y * width + x) * step + head * channels
        offset = corner[:, None] + channel[None]
        first, of_first = value + offset, of_value + offset
        a = _corner(first, grads, weight * top * left, of_first, inside)
        b = _corner(first + step, grads, weight * top * right, of_first + step, inside)
        c = _corner(first + below, grads, weight * bottom * left, of_first + below,
                    inside)
        d = _corner(first + below + step, grads, weight * bottom * right,
                    of_first + below + step, inside)
        tl.store(of_attention + place,
                 top * (left * a + right * b) + bottom * (left * c + right * d),
                 mask=there)
        tl.store(of_col + place, weight * (
            _slope(dx) * (top * a + bottom * c)
            + _slope(dx - 1) * (top * b + bottom * d)), mask=there)
        tl.store(of_row + place, weight * (
            _slope(dy) * (left * a + right * b)
            + _slope(dy - 1) * (left * c + right * d)), mask=there)
