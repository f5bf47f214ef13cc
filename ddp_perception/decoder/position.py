"""Sine position terms of a feature map."""
import math

import torch
from torch import Tensor


def sine_position(channels: int, size: tuple[int, int],
                  device: torch.device | str | None = None) -> Tensor:
    """Encode where each cell lies in its map.

    Args:
        channels: a multiple of four: half for the row, half for the column.
        size: height and width of the map.

    Returns:
        (H * W, channels) float32: sines and cosines of the row, then of the
        column, of wavelengths from one map length to 10,000 of them.

    Raises:
        ValueError: ``channels`` is not a multiple of four.

    Source: DETR, arXiv:2005.12872 (normalised 2D sine encoding), centred on
    the cells as in Deformable DETR, arXiv:2010.04159.
    """
    if channels % 4:
        raise ValueError(f'channels must be a multiple of 4, got {channels}')
    half = channels // 2
    index = torch.arange(half, dtype=torch.float32, device=device)
    period = 10000 ** (2 * (index // 2) / half)

    def along(length: int) -> Tensor:
        cell = torch.arange(1, length + 1, dtype=torch.float32, device=device)
        angle = (cell - 0.5) / (length + 1e-6) * 2 * math.pi
        phase = angle[:, None] / period
        return torch.stack([phase[:, 0::2].sin(), phase[:, 1::2].cos()], 2).flatten(1)

    rows, cols = along(size[0]), along(size[1])
    return torch.cat([rows[:, None].expand(-1, size[1], -1),
                      cols[None].expand(size[0], -1, -1)], 2).flatten(0, 1)
