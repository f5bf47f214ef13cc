"""Embedding of the noise level."""
import math

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Embed a time, or a log-SNR, in a vector.

    Learned frequencies w give [x, sin(2 pi w x), cos(2 pi w x)]; two linear
    layers with a GELU between follow.

    Args:
        channels: width of the embedding.
        num_frequencies: learned frequencies.

    Shape:
        value: (B,) float.
        returns: (B, channels) float.

    Source: DDP, arXiv:2303.17559; learned frequencies as in Fourier Features,
    arXiv:2006.10739.
    """

    def __init__(self, channels: int, num_frequencies: int = 8) -> None:
        super().__init__()
        self.channels = channels
        self.frequencies = nn.Parameter(torch.randn(num_frequencies))
        self.hidden = nn.Linear(2 * num_frequencies + 1, channels)
        self.output = nn.Linear(channels, channels)

    def fourier(self, value: Tensor) -> Tensor:
        """Return the (B, 2 num_frequencies + 1) features of (B,) values."""
        value = value[:, None].to(self.frequencies.dtype)
        phase = value * self.frequencies * 2 * math.pi
        return torch.cat([value, phase.sin(), phase.cos()], 1)

    def forward(self, value: Tensor) -> Tensor:
        """Embed values of shape (B,)."""
        return self.output(nn.functional.gelu(self.hidden(self.fourier(value))))
