"""A stack of decoder layers on one feature map."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ddp_perception.decoder.layers import DecoderLayer
from ddp_perception.decoder.position import sine_position
from ddp_perception.ops import is_exporting
from ddp_perception.ops.modes import cpu_autocast

# Cells per piece of work on a CPU, so that a piece stays in its cache.
_CPU_CHUNK = 2048


@dataclass
class DecoderMemory:
    """What a pass of the decoder leaves for a pass over some of the cells.

    Attributes:
        values: (B, Q, channels) that attention reads, one tensor per layer.
        output: (B, Q, channels) of the last layer.
    """

    values: list[Tensor] = field(default_factory=list)
    output: Tensor = field(default_factory=lambda: torch.empty(0))

    def of(self, maps: Tensor) -> DecoderMemory:
        """Return that of some of the maps: indices, or a (B,) bool mask."""
        return DecoderMemory([value[maps] for value in self.values], self.output[maps])


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
        with_cp: keep the input of each layer alone in training and compute the
            layer once more for its gradients (activation checkpointing): less
            memory, more time, the same gradients.

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
                 time_channels: int | None = None, with_cp: bool = False) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f'num_layers must be at least 1, got {num_layers}')
        self.channels = channels
        self.time_channels = time_channels
        self.with_cp = with_cp
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
                position_terms: list[Tensor] | None = None,
                memory: DecoderMemory | None = None,
                cells: Tensor | None = None, overwrite: bool = False) -> Tensor:
        """Refine a map.

        Args:
            x: see the class.
            time_embedding: see the class.
            position_terms: computed unless given.
            memory: keeps what this pass leaves, and has what the one before left.
            cells: (B, K) int64, the cells of each map that are refined, in
                ascending order. The others, and what they say to these, stay as in
                the pass before. None refines all of them.
            overwrite: ``x`` is not needed any more, its memory may be used.

        Returns:
            (B, channels, H, W).
        """
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
                and not is_exporting():
            chunk = _CPU_CHUNK
        x = x.flatten(2).mT.contiguous()  # B (H W) C
        if cells is not None and memory is not None:
            x = self._refine_cells(x, time_embedding, position_terms, memory, cells,
                                   size, chunk)
            return x.mT.unflatten(2, size)
        values = []
        spare = None  # for the values of one layer after the other
        if chunk is not None and memory is None:
            spare = x.new_empty(x.shape, dtype=cpu_autocast() or x.dtype)
        for layer, term in zip(self.layers, position_terms, strict=True):
            shift = layer.scale_shift(time_embedding)
            if memory is not None:
                values.append(layer.attn.project_value(x))
                x = layer.refine(x, term, values[-1], size, shift, chunk, overwrite)
            elif self.with_cp and torch.is_grad_enabled():
                x = checkpoint(layer, x, term, size, shift, use_reentrant=False)
            else:
                x = layer(x, term, size, shift, chunk, overwrite, spare)
            overwrite = True  # it is the layer's, not the caller's
        if memory is not None:
            memory.values, memory.output = values, x
        return x.mT.unflatten(2, size)

    def _refine_cells(self, x: Tensor, time_embedding: Tensor | None,
                      position_terms: list[Tensor], memory: DecoderMemory,
                      cells: Tensor, size: tuple[int, int], chunk: int | None
                      ) -> Tensor:
        """Return (B, Q, channels), new in some cells; updates the memory."""
        x = torch.stack([one.index_select(0, chosen)
                         for one, chosen in zip(x, cells, strict=True)])
        for index, (layer, term) in enumerate(zip(self.layers, position_terms,
                                                  strict=True)):
            value = memory.values[index]
            if torch.is_grad_enabled():  # what the pass before used stays
                value = value.clone()
            _write_rows(value, cells, layer.attn.project_value(x))
            memory.values[index] = value
            x = layer.refine(x, term[cells], value, size,
                             layer.scale_shift(time_embedding), chunk, overwrite=True)
        memory.output = memory.output.clone()  # the pass before returned it
        _write_rows(memory.output, cells, x)
        return memory.output


def _write_rows(maps: Tensor, cells: Tensor, rows: Tensor) -> None:
    """Put (B, K, channels) rows in their (B, K) places of (B, Q, channels) maps."""
    for one, chosen, new in zip(maps, cells, rows, strict=True):
        one.index_copy_(0, chosen, new.to(one.dtype))
