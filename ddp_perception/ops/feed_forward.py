"""The feed-forward part of a layer, whose wide hidden map never exists as a whole.

Some rows at a time pass both linear layers, so that their hidden values stay in the
cache; the backward pass makes these once more, for half the products that it takes
anyway. Of a whole map they would be most of what a layer keeps for its gradients, and
to write them to fresh memory takes longer than to compute them.
"""
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.ops.linear import ROWS, add_weight_gradient, linear, multiply
from ddp_perception.ops.modes import cpu_autocast, is_compiling, is_exporting


def feed_forward(x: Tensor, expand: Tensor, expand_bias: Tensor, reduce: Tensor,
                 reduce_bias: Tensor) -> Tensor:
    """Expand, GELU, reduce, and add to what there was.

    Args:
        x: (..., N, channels).
        expand, expand_bias: weight (hidden, channels) and bias of the first layer.
        reduce, reduce_bias: weight (channels, hidden) and bias of the second.

    Returns:
        (..., N, channels), of which ``x`` is a part. Differentiable once on a CPU.
    """
    parts = x, expand, expand_bias, reduce, reduce_bias
    whole = x.device.type != 'cpu' or is_exporting() or is_compiling()
    rounded = None if whole else cpu_autocast()
    # Products in bfloat16 gain nothing by pieces.
    if whole or rounded is not None and not torch.is_grad_enabled():
        return x + _layers(*parts)
    if not torch.is_grad_enabled():
        return _added_by_rows(*parts)
    if rounded is not None:
        return x + _FeedForward.apply(*(part.to(rounded) for part in parts))
    return x + _FeedForward.apply(*parts)


def _added_by_rows(x: Tensor, *weights: Tensor) -> Tensor:
    out = x.new_empty(x.shape)
    for rows, target in zip(x.flatten(0, -2).split(ROWS),
                            out.flatten(0, -2).split(ROWS), strict=True):
        torch.add(rows, _layers(rows, *weights), out=target)
    return out


def _layers(x: Tensor, expand: Tensor, expand_bias: Tensor, reduce: Tensor,
           reduce_bias: Tensor) -> Tensor:
    return linear(F.gelu(linear(x, expand, expand_bias)), reduce, reduce_bias)


class _FeedForward(torch.autograd.Function):
    """What `feed_forward` adds, rows by rows; keeps its arguments alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, expand: Tensor, expand_bias: Tensor,
                reduce: Tensor, reduce_bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, expand, expand_bias, reduce)
        return torch.cat([
            _layers(rows, expand, expand_bias, reduce, reduce_bias)
            for rows in x.flatten(0, -2).split(ROWS)]).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, expand, expand_bias, reduce = ctx.saved_tensors
        wide = torch.promote_types(x.dtype, torch.float32)
        of_expand, of_bias, of_reduce = (torch.zeros_like(part, dtype=wide)
                                         for part in (expand, expand_bias, reduce))
        of_x = torch.empty_like(x, memory_format=torch.contiguous_format)
        width = x.shape[-1]
        grad = grad.reshape(-1, width)
        for rows, grads, target in zip(x.reshape(-1, width).split(ROWS),
                                       grad.split(ROWS),
                                       of_x.view(-1, width).split(ROWS), strict=True):
            before = multiply(rows, expand, expand_bias)
            hidden = torch.ops.aten.gelu_backward(multiply(grads, reduce.mT), before)
            add_weight_gradient(of_reduce, F.gelu(before), grads)
            add_weight_gradient(of_expand, rows, hidden)
            of_bias += hidden.sum(0, dtype=wide)
            target.copy_(multiply(hidden, expand.mT))
        return (of_x, of_expand.to(x.dtype), of_bias.to(x.dtype),
                of_reduce.to(x.dtype), grad.sum(0))
