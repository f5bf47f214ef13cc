"""Deformable self-attention on one feature map, as a weighted gather-sum."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.ops import linear, sample_map, softmax_of_few


class DeformableSelfAttention(nn.Module):
    """Each cell reads a few bilinear samples around itself, per head.

    Samples outside the map count as zero. A bilinear sample is four weighted
    rows, so attention over ``num_points`` samples is one gather-sum of
    ``4 num_points`` rows: nothing of size (cells, samples, channels) is ever
    stored. `map_sampling` has other ways.

    Args:
        channels: width of the map, a multiple of ``num_heads``.
        num_heads: attention heads.
        num_points: samples of each cell and head.

    Shape:
        query, value: (B, Q, channels) with Q = H * W, row by row.
        returns: (B, Q, channels), without a residual.

    Raises:
        ValueError: ``channels`` is not a multiple of ``num_heads``, or the
            map has a side of one cell.

    Source: Deformable DETR, arXiv:2010.04159, eq. 2 (one level).
    """

    def __init__(self, channels: int, num_heads: int = 8, num_points: int = 4) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f'channels must be a multiple of num_heads = '
                             f'{num_heads}, got {channels}')
        self.channels, self.num_heads, self.num_points = channels, num_heads, num_points
        samples = num_heads * num_points
        self.sampling_offsets = nn.Linear(channels, 2 * samples)
        self.attention_weights = nn.Linear(channels, samples)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with heads that look in different directions, ever further."""
        nn.init.zeros_(self.sampling_offsets.weight)
        angle = torch.arange(self.num_heads) * (2 * math.pi / self.num_heads)
        direction = torch.stack([angle.cos(), angle.sin()], 1)
        direction = direction / direction.abs().amax(1, keepdim=True)
        reach = torch.arange(1., self.num_points + 1)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(
                (direction[:, None] * reach[None, :, None]).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def sampling_weight(self) -> Tensor:
        """Return the weight of one layer for columns, rows and attention."""
        offsets = self.sampling_offsets.weight
        return torch.cat([offsets[0::2], offsets[1::2], self.attention_weights.weight])

    def position_term(self, position: Tensor, size: tuple[int, int]) -> Tensor:
        """Part of the sampling layer's output that no feature changes.

        Args:
            position: (Q, channels) position encoding of the cells.
            size: (H, W) of the map.

        Returns:
            (Q, 3 num_heads num_points) float32: the cells' own columns plus
            offsets, their rows plus offsets (both in cells), and attention
            logits.
        """
        if min(size) < 2:
            raise ValueError(f'the map must be at least 2 x 2 cells, got {size}')
        offsets = self.sampling_offsets.bias
        bias = torch.cat([offsets[0::2], offsets[1::2], self.attention_weights.bias])
        term = linear(position, self.sampling_weight(), bias).float()
        samples = self.num_heads * self.num_points
        cell = torch.arange(size[0] * size[1], device=term.device)
        own = torch.stack([cell % size[1], cell // size[1]], 1).to(term.dtype)
        return term + F.pad(own.repeat_interleave(samples, 1), (0, samples))

    def project_value(self, value: Tensor, chunk: int | None = None,
                      out: Tensor | None = None) -> Tensor:
        """Return the (B, Q, channels) map that is sampled.

        Args:
            value: (B, Q, channels).
            chunk: cells that are worked on at once, all if None.
            out: where the result goes, then and only then in chunks.
        """
        layer = self.value_proj
        if out is None or chunk is None:
            return linear(value, layer.weight, layer.bias)
        for cells, target in zip(value.flatten(0, 1).split(chunk),
                                 out.flatten(0, 1).split(chunk), strict=True):
            target.copy_(linear(cells, layer.weight, layer.bias))
        return out

    def sample(self, query: Tensor, position_term: Tensor, value: Tensor,
               size: tuple[int, int], weight: Tensor) -> Tensor:
        """Attend from some of the cells.

        Args:
            query: (B, N, channels) features of the cells that attend.
            position_term: (N, ...) their rows of :meth:`position_term`.
            value: (B, Q, channels) result of :meth:`project_value`.
            size: (H, W) of the map of ``value``.
            weight: result of :meth:`sampling_weight`.

        Returns:
            (B, N, channels).
        """
        batch, count, _ = query.shape
        heads, points = self.num_heads, self.num_points
        # Positions of hundreds of cells do not fit 8 bits of mantissa.
        sampling = linear(query, weight).float() + position_term
        col, row, logits = sampling.split(heads * points, 2)
        attention = softmax_of_few(logits.reshape(batch, count, heads, points))
        out = sample_map(value.unflatten(2, (heads, -1)), col.reshape(attention.shape),
                         row.reshape(attention.shape), attention, size)
        return linear(out.flatten(2), self.output_proj.weight, self.output_proj.bias)

    def forward(self, query: Tensor, position_term: Tensor, value: Tensor,
                size: tuple[int, int]) -> Tensor:
        """Attend from every cell of a map of ``size``."""
        return self.sample(query, position_term, self.project_value(value), size,
                           self.sampling_weight())
