"""Bilinear samples of feature maps as weighted rows of a table."""
import torch
from torch import Tensor


def bilinear_bags(col: Tensor, row: Tensor, attention: Tensor, size: tuple[int, int],
                  first: Tensor) -> tuple[Tensor, Tensor]:
    """Name the four cells around every position, and weigh them.

    A sample outside the map counts as zero.

    Args:
        col, row: (..., heads, points) positions in cells; 0 is the centre of the
            first.
        attention: weights of the samples, of that shape.
        size: (H, W) of the maps, at least two cells each way.
        first: int32 row of the table of each map's first cell and head, to be
            broadcast to (..., heads, points). The next cell is ``heads`` rows on.

    Returns:
        Two (..., heads, 4, points) tensors: rows, int32, and weights. The corners are
        those of `corner_steps`.
    """
    # The hat function 1 - |distance| is the bilinear weight of the two cells
    # around a position, and zero for one further out: clamping the cells to
    # the map needs no masks.
    left, weight_left, weight_right = _two_taps(col, size[1])
    top, weight_top, weight_bottom = _two_taps(row, size[0])
    heads = col.shape[-2]
    corner = (top * size[1] + left) * heads + first
    weight_top, weight_bottom = weight_top * attention, weight_bottom * attention
    index = [corner + step for step in corner_steps(size[1], heads)]
    weights = [weight_top * weight_left, weight_top * weight_right,
               weight_bottom * weight_left, weight_bottom * weight_right]
    return torch.stack(index, -2), torch.stack(weights, -2)


def corner_steps(width: int, heads: int) -> tuple[int, int, int, int]:
    """Rows of the table from the first corner of a sample to each of the four."""
    return 0, heads, width * heads, (width + 1) * heads


def first_rows(value: Tensor) -> Tensor:
    """Return `bilinear_bags`' ``first`` for (B, Q, heads, C) maps: (B, 1, heads, 1)."""
    batch, cells, heads, _ = value.shape
    image = torch.arange(batch, dtype=torch.int32, device=value.device)
    head = torch.arange(heads, dtype=torch.int32, device=value.device)
    return image[:, None, None, None] * (cells * heads) + head[:, None]


def _two_taps(position: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """First cell (int32) of the pair around a position, and both weights."""
    cell = position.detach().floor().clamp(0, length - 2)
    distance = position - cell
    return (cell.to(torch.int32), (1 - distance.abs()).relu(),
            (1 - (distance - 1).abs()).relu())
