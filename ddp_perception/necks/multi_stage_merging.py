"""Merge a feature pyramid into its finest level."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor

from ddp_perception.registry import MODELS


@MODELS.register_module()
class MultiStageMerging(BaseModule):
    """Resize all levels to the first one's size, concatenate, and convolve.

    Args:
        in_channels: channels of each level.
        out_channels: number of channels of the merged map.
        kernel_size: convolution kernel size.
        norm_cfg, act_cfg: see mmcv's `ConvModule`.
        align_corners: see `F.interpolate`.
        init_cfg: mmengine's initialisation config.

    Shape:
        inputs: one (B, in_channels[i], H_i, W_i) per level, finest first.
        returns: a tuple of one (B, out_channels, H_0, W_0).

    Raises:
        ValueError: another number of levels.

    Source: DDP, arXiv:2303.17559 (neck of the segmentation and depth models).
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int,
                 kernel_size: int = 1, norm_cfg: dict | None = None,
                 act_cfg: dict | None = None, align_corners: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.align_corners = align_corners
        self.down = ConvModule(sum(in_channels), out_channels, kernel_size,
                               padding=kernel_size // 2, norm_cfg=norm_cfg,
                               act_cfg=act_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor]:
        """Merge the levels."""
        if len(inputs) != len(self.in_channels):
            raise ValueError(f'expected {len(self.in_channels)} feature levels, '
                             f'got {len(inputs)}')
        size = tuple(inputs[0].shape[-2:])
        levels = [level if tuple(level.shape[-2:]) == size else F.interpolate(
            level, size, mode='bilinear', align_corners=self.align_corners)
            for level in inputs]
        return (self.down(torch.cat(levels, 1)),)
