"""The gather-sum of map samples with a backward pass of its own.

It keeps positions and weights of the samples, and makes the indices, the weights of
the rows and their derivatives once more. What the general backward pass of
`torch.nn.functional.embedding_bag` costs most is left out: it sorts all rows that were
gathered, and takes one at a time. Here

- the gradient of the weights is a product of two matrices at the few places that are
  wanted (`torch.sparse.sampled_addmm`);
- the gradient of the map is four gather-sums, one for each corner of a sample: which
  samples have a cell as their first corner is sorted, and the other three corners lie
  fixed steps further on.
"""
from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ddp_perception.ops.bilinear import bilinear_bags, corner_steps, first_rows


class SampleByBags(torch.autograd.Function):
    """`sample_map` by embedding_bag; arguments and result are the same."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, col: Tensor, row: Tensor, attention: Tensor,
                size: tuple[int, int]) -> Tensor:
        """Sample, and keep the arguments."""
        ctx.save_for_backward(value, col, row, attention)
        ctx.size = size
        index, weights = bilinear_bags(col, row, attention, size, first_rows(value))
        out = F.embedding_bag(index.view(-1, 4 * col.shape[3]),
                              value.reshape(-1, value.shape[3]), mode='sum',
                              per_sample_weights=weights.to(value.dtype).view(
                                  -1, 4 * col.shape[3]))
        return out.view(*col.shape[:3], value.shape[3])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of value, columns, rows and attention."""
        value, *places = ctx.saved_tensors
        with torch.enable_grad():
            leaves = [place.detach().requires_grad_() for place in places]
            col, row, attention = leaves
            index, weights = bilinear_bags(col, row, attention, ctx.size,
                                           first_rows(value))
        grad = grad.to(weights.dtype).reshape(-1, grad.shape[3])
        of_places: tuple[Tensor | None, ...] = (None, None, None)
        if any(ctx.needs_input_grad[1:4]):
            table = value.to(weights.dtype).reshape(-1, grad.shape[1])
            of_places = torch.autograd.grad(weights, leaves, _row_products(
                grad, table, index.flatten(3).flatten(0, 2)).view_as(weights))
        of_value = None
        if ctx.needs_input_grad[0]:
            of_value = _map_gradient(
                grad, index, weights.detach(), value.shape[:3].numel(),
                corner_steps(ctx.size[1], value.shape[2])
            ).view_as(value).to(value.dtype)
        return (of_value, *of_places, None)


def _row_products(rows: Tensor, table: Tensor, index: Tensor) -> Tensor:
    """Multiply each row by some rows of a table.

    Args:
        rows: (I, C).
        table: (R, C).
        index: (I, J) int32 rows of the table.

    Returns:
        (I, J) scalar products.
    """
    ends = torch.arange(0, index.numel() + 1, index.shape[1], dtype=index.dtype)
    with warnings.catch_warnings():  # that the layout is in a beta state
        warnings.simplefilter('ignore', UserWarning)
        wanted = torch.sparse_csr_tensor(ends, index.flatten(), rows.new_zeros(
            index.numel()), (len(rows), len(table)), check_invariants=False)
    return torch.sparse.sampled_addmm(wanted, rows, table.mT, beta=0.).values()


def _map_gradient(grad: Tensor, index: Tensor, weights: Tensor, length: int,
                  steps: tuple[int, ...]) -> Tensor:
    """Sum, in each row of the table, the weighted gradients of who has read it.

    Args:
        grad: (I, C) of the bags.
        index, weights: of the bags, (..., 4, points); see `bilinear_bags`.
        length: rows of the table.
        steps: from the first corner to each.

    Returns:
        (length, C).
    """
    first = index[..., 0, :].flatten()
    order = first.argsort(stable=True)
    counts = first.bincount(minlength=length)
    starts = (counts.cumsum(0) - counts).int()
    bags = (order // index.shape[-1]).int()
    total = grad.new_zeros(length, grad.shape[1])
    for corner, step in enumerate(steps):
        factors = weights[..., corner, :].flatten().index_select(0, order)
        part = F.embedding_bag(bags, grad, starts, mode='sum',
                               per_sample_weights=factors)
        total[step:] += part[:length - step]
    return total
