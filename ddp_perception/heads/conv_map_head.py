"""Convolutional head for bird's-eye-view map segmentation."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.heads.base_map_head import BaseMapHead, Scope
from ddp_perception.ops import bilinear_resample
from ddp_perception.registry import MODELS


@MODELS.register_module()
class ConvMapHead(BaseMapHead):
    """Segment a BEV map by two 3x3 convolutions: the discriminative baseline.

    Args:
        in_channels, classes, input_scope, output_scope, bev_axes, loss,
            loss_weight, keep_steps: see :class:`BaseMapHead`.
        channels: of the hidden layers; ``in_channels`` by default.
        prescale_factor: resize features by this factor before they are
            carried to the output grid.

    Source: BEVFusion, arXiv:2205.13542 (BEV segmentation head).
    """

    def __init__(self, in_channels: int, classes: Sequence[str], input_scope: Scope,
                 output_scope: Scope, *, bev_axes: str = 'xy', loss: str = 'focal',
                 loss_weight: float = 1., keep_steps: bool = False,
                 channels: int | None = None,
                 prescale_factor: float = 1., init_cfg: dict | None = None):
        super().__init__(in_channels, classes, input_scope, output_scope,
                         bev_axes=bev_axes, loss=loss, loss_weight=loss_weight,
                         keep_steps=keep_steps, init_cfg=init_cfg)
        channels = channels or in_channels
        self.prescale_factor = prescale_factor
        self.classifier = nn.Sequential(
            *_conv_bn_relu(in_channels, channels), *_conv_bn_relu(channels, channels),
            nn.Conv2d(channels, len(self.classes), 1))

    @property
    def passes(self) -> dict:
        """A single pass without noise."""
        return dict(seeds=1, steps=1, averaged=1)

    def logits(self, feats: Tensor) -> Tensor:
        """Return (B, classes, X, Y) logits of features in (X, Y) order."""
        if self.prescale_factor != 1:
            feats = F.interpolate(feats, scale_factor=self.prescale_factor,
                                  mode='bilinear', align_corners=False)
        return self.classifier(
            bilinear_resample(feats, self.input_grid, self.output_grid))

    def training_logits(self, feats: Tensor, masks: Tensor) -> Tensor:
        """Return the logits; the truth plays no part in them."""
        return self.logits(feats)

    def probability_steps(self, feats: Tensor) -> list[Tensor]:
        """Return the one step of one seed that there is."""
        return [self.logits(feats).sigmoid()[:, None]]

    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Return that step."""
        return steps[0][:, 0]

    def forward(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Return (B, classes, X, Y) probabilities of BEV features."""
        return self.reduce(self.probability_steps(self.bev_features(feats)))


def _conv_bn_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
