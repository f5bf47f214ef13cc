"""One layer of the map decoder."""
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.decoder.deform_attn import DeformableSelfAttention
from ddp_perception.ops import feed_forward, is_compiling


class DecoderLayer(nn.Module):
    """Attention, norm, feed-forward, norm, then scale and shift by the time.

    Args:
        channels: width of the map.
        num_heads, num_points: see `DeformableSelfAttention`.
        feedforward_channels: hidden width of the feed-forward part.
        time_channels: width of the time embedding, or None for a layer that
            does not depend on the time.

    Source: DDP, arXiv:2303.17559; Deformable DETR, arXiv:2010.04159.
    """

    def __init__(self, channels: int, num_heads: int, num_points: int,
                 feedforward_channels: int, time_channels: int | None) -> None:
        super().__init__()
        self.attn = DeformableSelfAttention(channels, num_heads, num_points)
        self.norm1 = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, feedforward_channels)
        self.reduce = nn.Linear(feedforward_channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.time = nn.Linear(time_channels, 2 * channels) if time_channels else None

    def scale_shift(self, time_embedding: Tensor | None) -> Tensor | None:
        """Return (B, 2 channels) scale and shift, or None without time."""
        if self.time is None or time_embedding is None:
            return None
        return self.time(F.silu(time_embedding))

    def forward(self, x: Tensor, position_term: Tensor, size: tuple[int, int],
                scale_shift: Tensor | None = None, chunk: int | None = None,
                overwrite: bool = False, spare: Tensor | None = None) -> Tensor:
        """Refine a map.

        Args:
            x: (B, Q, channels) with Q = H * W.
            position_term: see `DeformableSelfAttention.position_term`.
            size: (H, W).
            scale_shift: result of :meth:`scale_shift` for 1 or B times.
            chunk: cells that are worked on at once, all if None. The result
                is the same; a cache-sized chunk is faster on a CPU.
            overwrite: ``x`` is not needed any more: the result of chunks may take
                its place. Fresh memory for a map takes longer than its norms.
            spare: (B, Q, channels) memory for a pass in chunks.

        Returns:
            (B, Q, channels).
        """
        if is_compiling():  # which would copy what is written over
            overwrite, spare = False, None
        return self.refine(x, position_term, self.attn.project_value(x, chunk, spare),
                           size, scale_shift, chunk, overwrite)

    def refine(self, x: Tensor, position_term: Tensor, value: Tensor,
               size: tuple[int, int], scale_shift: Tensor | None = None,
               chunk: int | None = None, overwrite: bool = False) -> Tensor:
        """Refine some of the cells, given the values of all.

        Args:
            x: (B, N, channels) of the cells.
            position_term: (N, ...) their rows of the position term, or (B, N, ...)
                where the cells differ between images.
            value: (B, Q, channels), see `DeformableSelfAttention.project_value`.
            size, scale_shift, chunk, overwrite: as in :meth:`forward`.

        Returns:
            (B, N, channels).
        """
        if chunk is None or chunk >= x.shape[1]:
            return self._refine(x, position_term, value, size,
                                self.attn.sampling_weight(), scale_shift)
        chunks = self._chunks(x, position_term, value, size, scale_shift, chunk)
        if not overwrite:
            return torch.cat([refined for _, refined in chunks], 1).view(x.shape)
        for cells, refined in chunks:
            cells.copy_(refined)
        return x

    def _chunks(self, x: Tensor, position_term: Tensor, value: Tensor,
                size: tuple[int, int], scale_shift: Tensor | None, chunk: int
                ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield some cells of an image and what becomes of them, again and again."""
        weight = self.attn.sampling_weight()
        for image in range(x.shape[0]):
            one = slice(image, image + 1)
            own = scale_shift if scale_shift is None or len(scale_shift) == 1 \
                else scale_shift[one]
            terms = position_term if position_term.dim() == 2 else position_term[image]
            for cells, term in zip(x[one].split(chunk, 1), terms.split(chunk),
                                   strict=True):
                yield cells, self._refine(cells, term, value[one], size, weight, own)

    def _refine(self, x: Tensor, position_term: Tensor, value: Tensor,
                size: tuple[int, int], weight: Tensor, scale_shift: Tensor | None
                ) -> Tensor:
        x = self.norm1(x + self.attn.sample(x, position_term, value, size, weight))
        x = feed_forward(x, self.expand.weight, self.expand.bias,
                         self.reduce.weight, self.reduce.bias)
        if scale_shift is None:
            return self.norm2(x)
        scale, shift = scale_shift.chunk(2, 1)
        if scale.shape[0] == 1:  # one time for all: part of the norm's affine map
            return F.layer_norm(x, self.norm2.normalized_shape,
                                self.norm2.weight * (1 + scale[0]),
                                self.norm2.bias * (1 + scale[0]) + shift[0],
                                self.norm2.eps)
        return self.norm2(x) * (1 + scale[:, None]) + shift[:, None]
