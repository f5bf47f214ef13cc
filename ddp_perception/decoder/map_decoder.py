"""A stack of decoder layers on one feature map."""
from typing import Any

import torch
from torch import Tensor, nn

from ddp_perception.decoder.layers import DecoderLayer
from ddp_perception.decoder.position import sine_position

# Cells per piece of work on a CPU, so that a piece stays in its cache.
_CPU_CHUNK = 2048


class MapDecoder(nn.Module):
    """Refine a map with deformable self-attention, aware of the noise level.

    Args:
        channels: width of the map.
        num_layers: layers.
        num_heads, num_points: see `DeformableSelfAttention`.
        feedforward_channels: hidden width of the feed-forward parts; four
            times ``channels`` by default.
        time_channels: width of the time embedding; None builds layers that
            ignore the time, as the released BEV and depth models do.

    Shape:
        x: (B, channels, H, W), H and W at least 2.
        time_embedding: (1, time_channels) for one time, or (B, time_channels).
        returns: (B, channels, H, W).

    Raises:
        ValueError: a time embedding is missing, or given without use.

    Source: DDP, arXiv:2303.17559.
    """

    def __init__(self, channels: int = 256, num_layers: int = 6, num_heads: int = 8,
                 num_points: int = 4, feedforward_channels: int | None = None,
                 time_channels: int | None = None) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f'num_layers must be at least 1, got {num_layers}')
        self.channels = channels
        self.time_channels = time_channels
        self.layers: Any = nn.ModuleList(
            DecoderLayer(channels, num_heads, num_points,
                         feedforward_channels or 4 * channels, time_channels)
            for _ in range(num_layers))

    def position_terms(self, size: tuple[int, int],
                       device: torch.device | str | None = None) -> list[Tensor]:
        """Return what the positions contribute, one tensor per layer.

        They depend on the weights and the size alone, so that all steps and
        images of a batch share them.
        """
        position = sine_position(self.channels, size, device)
        return [layer.attn.position_term(position, size) for layer in self.layers]

    def forward(self, x: Tensor, time_embedding: Tensor | None = None,
                position_terms: list[Tensor] | None = None) -> Tensor:
        """Refine ``x``; ``position_terms`` are computed unless given."""
        if (time_embedding is None) != (self.time_channels is None):
            raise ValueError(
                'a time embedding must be given exactly if time_channels is set, '
                f'got {"none" if time_embedding is None else "one"} with '
                f'time_channels={self.time_channels}')
        size = x.shape[-2], x.shape[-1]
        if position_terms is None:
            position_terms = self.position_terms(size, x.device)
        chunk = None
        if x.device.type == 'cpu' and not torch.is_grad_enabled() \
                and not torch.compiler.is_exporting():
            chunk = _CPU_CHUNK
        x = x.flatten(2).mT.contiguous()  # B (H W) C
        for layer, term in zip(self.layers, position_terms, strict=True):
            x = layer(x, term, size, layer.scale_shift(time_embedding), chunk)
        return x.mT.unflatten(2, size)
