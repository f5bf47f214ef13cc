"""The gather-sum as Triton kernels, one program for each bag.

Sums are float32 whatever the table is. The table's gradient is made by atomic
additions, in no fixed order, and needs no sorting. A long bag is one program's work.

With ``TRITON_INTERPRET=1`` in the environment, before this module is imported, the
kernels run on the CPU, slowly: so they are tested where no GPU is.
"""
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.ops.triton_parts import add, require_cuda


def gather_sum(table: Tensor, index: Tensor, weights: Tensor,
               offsets: Tensor | None) -> Tensor:
    """Do what `ddp_perception.ops.gather_sum` does.

    Raises:
        ValueError: the tensors are on no CUDA device, and Triton does not interpret.
    """
    require_cuda('gather-sum backend', table)
    if offsets is None:
        bags, size = index.shape
    else:
        bags, size = len(offsets), 0
        offsets = torch.cat([offsets, offsets.new_tensor([len(index)])])
    return _GatherSum.apply(table, index.flatten(), weights.flatten(), offsets, bags,
                            size)


class _GatherSum(torch.autograd.Function):
    """Bags of ``size`` rows each, or cut at ``offsets``, (bags + 1,)."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weights: Tensor,
                offsets: Tensor | None, bags: int, size: int) -> Tensor:
        table, weights = table.contiguous(), weights.contiguous()
        ctx.save_for_backward(table, index, weights, offsets)
        ctx.bags, ctx.size = bags, size
        channels = table.shape[1]
        out = table.new_empty(bags, channels)
        if bags:
            _sum_bags[bags,](table, index, weights, offsets, out, size, channels,
                             offsets is None, triton.next_power_of_2(channels))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, index, weights, offsets = ctx.saved_tensors
        of_table = torch.zeros_like(table, dtype=torch.float32)
        of_weights = torch.zeros_like(weights)
        channels = table.shape[1]
        if ctx.bags:
            _spread_gradients[ctx.bags,](
                table, index, weights, offsets, grad.contiguous(), of_table, of_weights,
                ctx.size, channels, offsets is None, triton.next_power_of_2(channels))
        return of_table.to(table.dtype), None, of_weights, None, None, None


@triton.jit
def _ends(offsets, bag, size, FIXED: tl.constexpr):  # type: ignore
    if FIXED:
        begin, end = bag * size, bag * size + size
    else:
        begin, end = tl.load(offsets + bag), tl.load(offsets + bag + 1)
    return begin, end


@triton.jit
def _sum_bags(table, index, weights, offsets, out, size, channels,  # type: ignore
              FIXED: tl.constexpr, WIDTH: tl.constexpr):
    bag = tl.program_id(0).to(tl.int64)
    begin, end = _ends(offsets, bag, size, FIXED)
    channel = tl.arange(0, WIDTH)
    inside = channel < channels
    total = channel * 0.
    for place in range(begin, end):
        row = tl.load(index + place).to(tl.int64)
        weight = tl.load(weights + place).to(tl.float32)
        values = tl.load(table + row * channels + channel, mask=inside, other=0.)
        total += weight * values.to(tl.float32)
    tl.store(out + bag * channels + channel, total, mask=inside)


@triton.jit
def _spread_gradients(table, index, weights, offsets, grad, of_table,  # type: ignore
                      of_weights, size, channels, FIXED: tl.constexpr,
                      WIDTH: tl.constexpr):
    bag = tl.program_id(0).to(tl.int64)
    begin, end = _ends(offsets, bag, size, FIXED)
    channel = tl.arange(0, WIDTH)
    inside = channel < channels
    grads = tl.load(grad + bag * channels + channel, mask=inside, other=0.
                    ).to(tl.float32)
    for place in range(begin, end):
        row = tl.load(index + place).to(tl.int64)
        weight = tl.load(weights + place).to(tl.float32)
        values = tl.load(table + row * channels + channel, mask=inside, other=0.)
        product = tl.reduce(grads * values.to(tl.float32), 0, add)
        tl.store(of_weights + place, product)
        tl.atomic_add(of_table + row * channels + channel, weight * grads, mask=inside)
