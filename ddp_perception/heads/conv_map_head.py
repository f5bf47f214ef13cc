"""Convolutional head for bird's-eye-view map segmentation."""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.diffusion import Presences, uncertainty
from ddp_perception.heads.bev_head import Bounds
from ddp_perception.heads.map_head import MapHead
from ddp_perception.heads.renamed_options import names_options
from ddp_perception.ops import bilinear_resample
from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.registry import MODELS


@MODELS.register_module()
class ConvMapHead(MapHead):
    """Segment a BEV map by two 3x3 convolutions: the discriminative baseline.

    Args:
        in_channels, classes, input_grid, output_grid, bev_axes, loss,
            keep_steps, init_cfg: see :class:`MapHead`.
        hidden_channels: width of the hidden layers; ``in_channels`` by default.
        prescale_factor: resize features by this factor before they are
            carried to the output grid.

    Source: BEVFusion, arXiv:2205.13542 (BEV segmentation head).
    """

    @names_options
    def __init__(self, in_channels: int, classes: Sequence[str], input_grid: Bounds,
                 output_grid: Bounds, *, bev_axes: str = 'xy', loss: dict | None = None,
                 keep_steps: bool = False, hidden_channels: int | None = None,
                 prescale_factor: float = 1., init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, classes, input_grid, output_grid,
                         bev_axes=bev_axes, loss=loss, keep_steps=keep_steps,
                         init_cfg=init_cfg)
        hidden = hidden_channels or in_channels
        self.prescale_factor = prescale_factor
        self.classifier = nn.Sequential(
            *conv_norm_relu(in_channels, hidden), *conv_norm_relu(hidden, hidden),
            nn.Conv2d(hidden, len(self.classes), 1))

    @property
    def passes(self) -> dict[str, int]:  # type: ignore[override]
        """A single pass without noise."""
        return dict(seeds=1, steps=1, averaged=1)

    @property
    def uncertainty_kind(self) -> str:  # type: ignore[override]
        """Entropy of each class."""
        return 'entropy'

    def uncertainty(self, steps: Sequence[Tensor]) -> Tensor:
        """Return the (B, classes, X, Y) entropy of the probabilities, in nats."""
        return uncertainty(self.uncertainty_kind, steps, Presences())

    def logits(self, feats: Tensor) -> Tensor:
        """Return (B, classes, X, Y) logits of features in (X, Y) order."""
        if self.prescale_factor != 1:
            feats = F.interpolate(feats, scale_factor=self.prescale_factor,
                                  mode='bilinear', align_corners=False)
        return self.classifier(
            bilinear_resample(feats, self.input_grid, self.output_grid))

    def training_prediction(self, feats: Tensor, truth: Tensor) -> Tensor:
        """Return the logits; the truth plays no part in them."""
        return self.logits(feats)

    def prediction_steps(self, feats: Tensor) -> list[Tensor]:
        """Return the one step of one seed that there is."""
        return [self.logits(feats)[:, None]]

    def average(self, steps: Sequence[Tensor]) -> Tensor:
        """Return that step's probabilities."""
        return self.meaning(steps[0])[:, 0]
