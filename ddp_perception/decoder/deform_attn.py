"""Deformable self-attention on one feature map, as a weighted gather-sum."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.ops import gather_sum


class DeformableSelfAttention(nn.Module):
    """Each cell reads a few bilinear samples around itself, per head.

    Samples outside the map count as zero. A bilinear sample is four weighted
    rows, so attention over ``num_points`` samples is one gather-sum of
    ``4 num_points`` rows: nothing of size (cells, samples, channels) is ever
    stored.

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

    def _sampling_weight(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of one layer for columns, rows and attention."""
        offsets, attention = self.sampling_offsets, self.attention_weights
        return (torch.cat([offsets.weight[0::2], offsets.weight[1::2],
                           attention.weight]),
                torch.cat([offsets.bias[0::2], offsets.bias[1::2], attention.bias]))

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
        term = F.linear(position, *self._sampling_weight()).float()
        samples = self.num_heads * self.num_points
        cell = torch.arange(size[0] * size[1], device=term.device)
        own = torch.stack([cell % size[1], cell // size[1]], 1).to(term.dtype)
        return term + F.pad(own.repeat_interleave(samples, 1), (0, samples))

    def project_value(self, value: Tensor) -> Tensor:
        """Return the (B, Q, channels) map that is sampled."""
        return self.value_proj(value)

    def sample(self, query: Tensor, position_term: Tensor, value: Tensor,
               size: tuple[int, int]) -> Tensor:
        """Attend from some of the cells.

        Args:
            query: (B, N, channels) features of the cells that attend.
            position_term: (N, ...) their rows of :meth:`position_term`.
            value: (B, Q, channels) result of :meth:`project_value`.
            size: (H, W) of the map of ``value``.

        Returns:
            (B, N, channels).
        """
        batch, count, _ = query.shape
        heads, points = self.num_heads, self.num_points
        weight, _ = self._sampling_weight()
        # Positions of hundreds of cells do not fit 8 bits of mantissa.
        sampling = F.linear(query, weight).float() + position_term
        col, row, logits = sampling.split(heads * points, 2)
        attention = logits.reshape(batch, count, heads, points).softmax(3)
        index, weights = _bilinear_bags(
            col.reshape(attention.shape), row.reshape(attention.shape),
            attention, size)
        out = gather_sum(value.reshape(-1, self.channels // heads), index,
                         weights.to(value.dtype))
        return self.output_proj(out.view(batch, count, self.channels))

    def forward(self, query: Tensor, position_term: Tensor, value: Tensor,
                size: tuple[int, int]) -> Tensor:
        """Attend from every cell of a map of ``size``."""
        return self.sample(query, position_term, self.project_value(value), size)


def _bilinear_bags(col: Tensor, row: Tensor, attention: Tensor,
                   size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows of the value table and weights of every cell and head.

    Args:
        col, row: (B, N, heads, points) sampling positions in cells.
        attention: attention weights of that shape.

    Returns:
        Two (B N heads, 4 points) tensors, int32 and float.
    """
    batch, _, heads, _ = col.shape
    height, width = size
    # The hat function 1 - |distance| is the bilinear weight of the two cells
    # around a position, and zero for one further out: clamping the cells to
    # the map needs no masks.
    left, weight_left, weight_right = _two_taps(col, width)
    top, weight_top, weight_bottom = _two_taps(row, height)
    device = col.device
    first = (torch.arange(batch, dtype=torch.int32, device=device) * (height * width)
             )[:, None, None, None]
    head = torch.arange(heads, dtype=torch.int32, device=device)[:, None]
    corner = ((top * width + left) + first) * heads + head
    weight_top, weight_bottom = weight_top * attention, weight_bottom * attention
    index = torch.stack([corner, corner + heads, corner + width * heads,
                         corner + (width + 1) * heads], 3)
    weights = torch.stack([
        weight_top * weight_left, weight_top * weight_right,
        weight_bottom * weight_left, weight_bottom * weight_right], 3)
    bags = (-1, 4 * col.shape[3])
    return index.view(bags), weights.view(bags)


def _two_taps(position: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """First cell (int32) of the pair around a position, and both weights."""
    cell = position.detach().floor().clamp(0, length - 2)
    distance = position - cell
    return (cell.to(torch.int32), (1 - distance.abs()).relu(),
            (1 - (distance - 1).abs()).relu())
