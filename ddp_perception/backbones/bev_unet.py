"""A small U-Net on a map in bird's-eye view."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.backbones.resnet import BasicBlock
from mmdet.models.layers import ResLayer
from mmengine.model import BaseModule
from torch import Tensor, nn

from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.registry import MODELS


@MODELS.register_module()
class BEVUNet(BaseModule):
    """Residual stages down, then up again, each beside the stage of its size.

    The output is at the resolution of the first stage. With the default stages
    it has half the input's cells, and sees the input 60 m and more across at
    0.5 m a cell: what a sketch of roads shows up to 10 m off its place, and how
    the roads go on, is within reach of every cell.

    Args:
        in_channels: number of channels of the map.
        out_channels: number of channels of the features.
        blocks: (number of residual blocks, channels, stride) of each stage, at
            least one.
        init_cfg: mmengine's initialisation config.

    Shape:
        x: (B, in_channels, X, Y).
        returns: (B, out_channels, X / s, Y / s), rounded up; s is the stride of
            the first stage.

    Source: U-Net, arXiv:1505.04597, with the blocks of ResNet, arXiv:1512.03385.
    """

    def __init__(self, in_channels: int, out_channels: int = 48,
                 blocks: Sequence[tuple[int, int, int]] = (
                     (1, 32, 2), (2, 64, 2), (3, 128, 2)),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not blocks:
            raise ValueError('blocks must hold at least one stage, got none')
        widths = [in_channels, *(channels for _, channels, _ in blocks)]
        self.down = nn.ModuleList(
            ResLayer(BasicBlock, width, channels, count, stride=stride)
            for width, (count, channels, stride) in zip(widths, blocks, strict=False))
        self.up = nn.ModuleList()
        width = widths[-1]
        for beside in widths[-2:0:-1]:
            self.up.append(nn.Sequential(*conv_norm_relu(width + beside, beside)))
            width = beside
        self.project = nn.Sequential(*conv_norm_relu(width, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of a map."""
        beside = []
        for stage in self.down:
            x = stage(x)
            beside.append(x)
        for merge, finer in zip(self.up, beside[-2::-1], strict=True):
            x = F.interpolate(x, finer.shape[-2:], mode='bilinear', align_corners=False)
            x = merge(torch.cat([x, finer], 1))
        return self.project(x)
