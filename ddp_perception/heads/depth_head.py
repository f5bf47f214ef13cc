"""Diffusion head for monocular depth, for mmseg's DepthEstimator."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import DepthCodec, Quantity, Sampler
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.heads.renamed_options import names_options
from ddp_perception.registry import MODELS


class DepthPredictor(nn.Conv2d):
    """Last layer: a 3x3 convolution, and metres of it.

    Args:
        channels: number of channels of the decoded map.
        min_depth, max_depth: metres.
        scale_up: depth is ``max_depth sigmoid(x)``; otherwise
            ``relu(x) + min_depth``, which has no upper end.
    """

    def __init__(self, channels: int, min_depth: float, max_depth: float,
                 scale_up: bool = False) -> None:
        super().__init__(channels, 1, 3, padding=1)
        self.min_depth, self.max_depth, self.scale_up = min_depth, max_depth, scale_up

    def forward(self, x: Tensor) -> Tensor:
        """Predict (B, 1, h, w) metres from (B, channels, h, w) maps."""
        x = super().forward(x)
        if self.scale_up:
            return x.sigmoid() * self.max_depth
        return F.relu(x) + self.min_depth


@MODELS.register_module()
class DepthHead(DenseHead):
    """Denoise a depth map conditioned on image features.

    Args:
        in_channels, in_index, align_corners, init_cfg: see
            :class:`DenseHead`.
        min_depth, max_depth: range of depth, metres. Predictions are clamped
            to it, in feedback and at the end.
        scale_up: see :class:`DepthPredictor`.
        sparse_truth: what cells without LiDAR returns are noised from,
            ``'fill'``, ``'centre'`` or, as the released models were trained,
            ``'bilinear'``; see :class:`DepthCodec`.
        loss_decode: config of a loss of depth, or a list.
        decoder: `DecoderOptions`.
        diffusion: `DiffusionOptions`; scale 0.1 and the schedule
            ``'cosine_unclamped'`` by default.
        sampler: options of `Sampler`.

    Shape:
        inputs: list of (B, in_channels, h, w) features.
        truth: ``gt_depth_map``, (1, H, W) metres in each sample, 0 where
            nothing was measured.
        returns: (B, 1, h, w) metres from `forward`, at the size of the image
            from `predict`.

    Raises:
        ValueError: an unknown option, missing truth, or truth that is
            negative or not finite.

    Source: DDP, arXiv:2303.17559. Departs from it by default: layers know the
    noise level, and sparse truth is shrunk by its valid returns.
    """

    truth_field = 'gt_depth_map'
    prediction_field = 'pred_depth_map'
    outcome = Quantity(unit='metres')

    @names_options
    def __init__(self, in_channels: int | Sequence[int], min_depth: float,
                 max_depth: float, *, scale_up: bool = False,
                 sparse_truth: str = 'fill', in_index: int | Sequence[int] = -1,
                 align_corners: bool = False,
                 loss_decode: dict | Sequence[dict] = (dict(type='ddp.SigLoss'),),
                 decoder: DecoderOptions | Mapping[str, Any] | None = None,
                 diffusion: DiffusionOptions | Mapping[str, Any] | None = None,
                 sampler: Sampler | Mapping[str, Any] | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, 1, loss_decode=loss_decode, in_index=in_index,
                         align_corners=align_corners, init_cfg=init_cfg)
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion, scale=0.1,
                              schedule='cosine_unclamped')
        self.min_depth, self.max_depth = min_depth, max_depth
        self.build_diffusion(
            self.in_channels,
            DepthCodec(min_depth, max_depth, diffusion.scale, sparse_truth),
            DepthPredictor(decoder.channels, min_depth, max_depth, scale_up),
            decoder=decoder, diffusion=diffusion, sampler=sampler, time_input='time')

    def average(self, steps: Sequence[Tensor]) -> Tensor:
        """Average depth, and clamp it to the range."""
        return super().average(steps).clamp(self.min_depth, self.max_depth)
