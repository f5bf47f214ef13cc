"""Linear layers in float32 by oneDNN, where PyTorch has it.

PyTorch multiplies float32 matrices by MKL, which keeps its AVX-512 kernels to Intel's
processors: on an AMD EPYC with AVX-512 a product ran at 105 GFLOP/s a core, and at 240
by oneDNN, which is part of PyTorch as well and which its compiler calls for linear
layers. Everything else goes through `F.linear`: other types, other devices, autocast,
graphs that leave PyTorch, and all of it under
``torch.backends.mkldnn.flags(enabled=False)``.
"""
import math
from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, library, nn
from torch.autograd.function import once_differentiable

from ddp_perception.ops.modes import cpu_autocast, is_compiling, is_exporting

ROWS = 512
"""Rows that are worked on at once where a result is a sum over rows: operands that
stay in the cache are multiplied twice as fast."""

_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, '_linear_pointwise') and hasattr(library, 'custom_op')


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do what `torch.nn.functional.linear` does, by oneDNN where that is possible.

    Args:
        x: (..., in_channels).
        weight: (out_channels, in_channels).
        bias: (out_channels,).

    Returns:
        (..., out_channels). Differentiable once.
    """
    if not _by_onednn(x) or cpu_autocast() is not None:
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Linear.apply(x, weight, bias)
    return multiply(x, weight, bias)


def pointwise_conv(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve maps by a kernel of one cell, as a linear layer where that is faster.

    Args:
        maps: (B, in_channels, H, W).
        weight: (out_channels, in_channels, 1, 1).
        bias: (out_channels,).

    Returns:
        (B, out_channels, H, W). Differentiable once.
    """
    if not _by_onednn(maps) or cpu_autocast() is not None:
        return F.conv2d(maps, weight, bias)
    cells = linear(maps.flatten(2).mT, weight.flatten(1), bias)
    return cells.mT.unflatten(2, maps.shape[2:])


class PointwiseConv2d(nn.Conv2d):
    """A convolution by a kernel of one cell, computed by `pointwise_conv`.

    Args:
        in_channels, out_channels: of the maps.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the (B, out_channels, H, W) of (B, in_channels, H, W) maps."""
        return pointwise_conv(maps, self.weight, self.bias)


def multiply(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do the work of `linear` without its gradients, in the type of ``x``."""
    if not _by_onednn(x):
        return F.linear(x, weight, bias)
    weight = dense(weight)
    if is_compiling():
        return _opaque(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')


def dense(weight: Tensor) -> Tensor:
    """Return a matrix without gaps in memory, itself if it or its transpose is.

    oneDNN takes a part of the rows or columns of a larger one as it lies, but by a
    reference implementation that is a thousand times slower.
    """
    if weight.is_contiguous() or weight.mT.is_contiguous():
        return weight
    return weight.contiguous()


def add_weight_gradient(total: Tensor, x: Tensor, grad: Tensor) -> Tensor:
    """Add the products of inputs and gradients, summed over the rows.

    Args:
        total: (out_channels, in_channels) gradient so far of a layer's weight.
        x: (N, in_channels) that went into the layer.
        grad: (N, out_channels) of what came out.

    Returns:
        ``total``.
    """
    for rows, grads in zip(x.split(ROWS), grad.split(ROWS), strict=True):
        # The first operand is transposed in memory: the smaller one.
        if x.shape[1] < grad.shape[1]:
            total += multiply(rows.mT, grads.mT).mT
        else:
            total += multiply(grads.mT, rows.mT)
    return total


def flop_formulas() -> dict[Any, Callable[..., int]]:
    """Return what `torch.utils.flop_counter` lacks to count these products."""
    return {torch.ops.mkldnn._linear_pointwise: _flops} if _AVAILABLE else {}


def _flops(x: Sequence[int], weight: Sequence[int], *others: Any, **shapes: Any) -> int:
    return 2 * math.prod(x) * weight[0]


def _by_onednn(x: Tensor) -> bool:
    return (_AVAILABLE and x.device.type == 'cpu' and x.dtype == torch.float32
            and not is_exporting()
            # The compiler cannot follow the question.
            and (is_compiling() or torch._C._get_mkldnn_enabled()))


class _Linear(torch.autograd.Function):
    """`linear` with its gradients by the same library."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = grad.flatten(0, -2)
        return (multiply(grad, weight.mT) if of_x else None,
                add_weight_gradient(torch.zeros_like(weight), x.flatten(0, -2), rows)
                if of_weight else None,
                rows.sum(0) if of_bias else None)


if _AVAILABLE:
    # torch.compile takes the operator for one of its own, with weights it has packed.
    @library.custom_op('ddp_perception::linear', mutates_args=())
    def _opaque(x: Tensor, weight: Tensor,
                bias: Optional[Tensor]) -> Tensor:  # noqa: UP045
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')

    @_opaque.register_fake
    def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return x.new_empty(*x.shape[:-1], weight.shape[0])
