"""The image neck of BEVFusion."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from ddp_perception.registry import MODELS


@MODELS.register_module()
class GeneralizedLSSFPN(BaseModule):
    """Merge an image pyramid top-down by concatenation.

    Each level is concatenated with the upsampled level above it, reduced by a
    1x1 and smoothed by a 3x3 convolution. The coarsest level only feeds the
    one below it.

    Args:
        in_channels: number of channels of each level, finest first.
        out_channels: number of channels of each output.
        num_outs: kept for compatibility with published configs; there is one
            output per level but the coarsest.
        start_level: first level used.
        no_norm_on_lateral: leave the norm out of the 1x1 convolutions.
        conv_cfg: mmcv's convolution config.
        norm_cfg: mmcv's norm config.
        act_cfg: mmcv's activation config.
        upsample_cfg: arguments of ``F.interpolate``.
        init_cfg: mmengine's initialisation config.

    Shape:
        inputs: one (B, C_i, H_i, W_i) per entry of ``in_channels``.
        returns: tuple of (B, out_channels, H_i, W_i), finest first.

    Raises:
        ValueError: fewer than two levels, or another number of inputs.

    Source: BEVFusion, arXiv:2205.13542.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int,
                 num_outs: int | None = None, start_level: int = 0,
                 no_norm_on_lateral: bool = False,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = dict(type='BN2d'),  # noqa: B006
                 act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006
                 upsample_cfg: dict = dict(  # noqa: B006
                     mode='bilinear', align_corners=True),
                 init_cfg: dict | None = None) -> None:
        """Build a 1x1 and a 3x3 convolution per output level."""
        super().__init__(init_cfg)
        if len(in_channels) - start_level < 2:
            raise ValueError('at least two levels from start_level on are '
                             f'needed, got in_channels {in_channels} and '
                             f'start_level {start_level}')
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.start_level = start_level
        self.upsample_cfg = dict(upsample_cfg)
        used = self.in_channels[start_level:]
        above = [out_channels] * (len(used) - 2) + [used[-1]]
        common = dict(conv_cfg=conv_cfg, act_cfg=act_cfg, inplace=False)
        self.lateral_convs = nn.ModuleList(
            ConvModule(level + upper, out_channels, 1,
                       norm_cfg=None if no_norm_on_lateral else norm_cfg,
                       **common)
            for level, upper in zip(used, above))
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1,
                       norm_cfg=norm_cfg, **common) for _ in above)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the merged levels, finest first."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'{len(self.in_channels)} levels expected, got '
                             f'{len(inputs)}')
        levels = list(inputs[self.start_level:])
        for i in reversed(range(len(self.lateral_convs))):
            upper = F.interpolate(levels[i + 1], size=levels[i].shape[2:],
                                  **self.upsample_cfg)
            merged = self.lateral_convs[i](torch.cat([levels[i], upper], dim=1))
            levels[i] = self.fpn_convs[i](merged)
        return tuple(levels[:-1])
