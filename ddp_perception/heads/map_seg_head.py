"""Diffusion head for bird's-eye-view map segmentation."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import MultiLabelCodec, Presences, Sampler
from ddp_perception.diffusion.codecs import Shrink, nearest_shrink
from ddp_perception.heads.bev_head import Bounds
from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.heads.map_head import MapHead
from ddp_perception.heads.renamed_options import names_options
from ddp_perception.ops import (
    BEVGrid,
    PointwiseConv2d,
    bilinear_resample,
    nearest_resample,
)
from ddp_perception.registry import MODELS


class MapPredictor(PointwiseConv2d):
    """Last layer: one logit per class and cell, brought to the output grid."""

    def __init__(self, channels: int, num_classes: int, source: BEVGrid,
                 target: BEVGrid) -> None:
        super().__init__(channels, num_classes)
        self.source, self.target = source, target

    def forward(self, x: Tensor) -> Tensor:
        """Predict (B, num_classes, *target) logits from (B, C, *source) maps."""
        logits = super().forward(x)
        if self.source == self.target:
            return logits
        return bilinear_resample(logits, self.source, self.target, padding='border')


@dataclass(frozen=True)
class ShrinkByMetres:
    """Carry masks from the grid of the map to that of the features."""

    source: BEVGrid
    target: BEVGrid

    def __call__(self, masks: Tensor, size: tuple[int, int]) -> Tensor:
        """Return (B, C, *target) masks; their size is that of the target."""
        return nearest_resample(masks, self.source, self.target)


@MODELS.register_module()
class MapSegHead(MapHead, DiffusionHead):
    """Denoise a BEV map conditioned on BEV features of any detector.

    The noisy map lives on the grid of the features. It is fused with them,
    carried to the decoder's grid and decoded there.

    Args:
        in_channels, classes, input_grid, output_grid, bev_axes, loss,
            keep_steps, keep_seeds, init_cfg: see :class:`MapHead`.
        decoder_grid: grid on which the decoder works, ``output_grid`` by
            default. A coarser one costs less; its logits are interpolated.
        threshold: probability above which a class is fed back as present.
        resize_feedback: ``'metric'`` carries truth and feedback to the grid
            of the features by their metres; ``'stretch'`` stretches one grid
            onto the other, as the released BEV models do, which is off by up
            to 1.2 m.
        decoder: `DecoderOptions`; five layers by default.
        diffusion: `DiffusionOptions`; scale 0.01 by default.
        sampler: options of `Sampler`.

    Source: DDP, arXiv:2303.17559, BEV map segmentation. Departs from it by
    default: layers know the noise level, feedback keeps its metres, items of
    a batch stay independent, and only the last step counts.
    """

    @names_options
    def __init__(self, in_channels: int, classes: Sequence[str], input_grid: Bounds,
                 output_grid: Bounds, *, decoder_grid: Bounds | None = None,
                 bev_axes: str = 'xy', threshold: float = 0.5,
                 resize_feedback: str = 'metric', loss: dict | None = None,
                 keep_steps: bool = False, keep_seeds: bool = False,
                 decoder: DecoderOptions | Mapping[str, Any] | None = None,
                 diffusion: DiffusionOptions | Mapping[str, Any] | None = None,
                 sampler: Sampler | Mapping[str, Any] | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, classes, input_grid, output_grid,
                         bev_axes=bev_axes, loss=loss, keep_steps=keep_steps,
                         keep_seeds=keep_seeds, init_cfg=init_cfg)
        self.outcome = Presences(threshold)
        decoder = record_of(DecoderOptions, decoder, num_layers=5)
        diffusion = record_of(DiffusionOptions, diffusion, scale=0.01)
        grid = BEVGrid.of(self.output_grid if decoder_grid is None else decoder_grid)
        codec = MultiLabelCodec(
            len(self.classes), decoder.channels, diffusion.scale, threshold,
            shrink=_shrink(resize_feedback, self.output_grid, self.input_grid))
        predictor = MapPredictor(decoder.channels, len(self.classes), grid,
                                 self.output_grid)
        self.build_diffusion(
            in_channels, codec, predictor, decoder=decoder, diffusion=diffusion,
            sampler=sampler, resample=None if grid == self.input_grid else partial(
                bilinear_resample, source=self.input_grid, target=grid))


def _shrink(how: str, output_grid: BEVGrid, input_grid: BEVGrid) -> Shrink:
    if how == 'stretch':
        return nearest_shrink
    if how != 'metric':
        raise ValueError(f"resize_feedback must be 'metric' or 'stretch', got {how!r}")

    return ShrinkByMetres(output_grid, input_grid)
