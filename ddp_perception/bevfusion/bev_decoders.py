"""The BEV decoder of the published camera-only configuration.

The fusion configurations use mmdet3d's own SECOND and SECONDFPN.
"""
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
class GeneralizedResNet(nn.ModuleList):
    """Residual stages on a BEV map, all of whose outputs are returned.

    Args:
        in_channels: number of channels of the BEV map.
        blocks: (number of basic blocks, channels, stride) of each stage.

    Shape:
        x: (B, in_channels, X, Y).
        returns: one (B, channels, X / stride, Y / stride) per stage, strides
            accumulating.

    Source: BEVFusion, arXiv:2205.13542.
    """

    def __init__(self, in_channels: int,
                 blocks: Sequence[tuple[int, int, int]]) -> None:
        """Build the stages."""
        super().__init__()
        for num_blocks, channels, stride in blocks:
            self.append(ResLayer(BasicBlock, in_channels, channels, num_blocks,
                                 stride=stride))
            in_channels = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the output of every stage."""
        outputs = []
        for stage in self:
            x = stage(x)
            outputs.append(x)
        return outputs


@MODELS.register_module()
class LSSFPN(BaseModule):
    """Merge a coarse and a fine BEV map and upsample the result.

    Args:
        in_channels: channels of the two maps that ``in_indices`` pick, in order.
        out_channels: number of output channels.
        in_indices: indices of the coarse and of the fine input map.
        scale_factor: by which the merged map is upsampled; 1 does not.
        init_cfg: mmengine's initialisation config.

    Shape:
        x: list of (B, C_i, X_i, Y_i).
        returns: (B, out_channels, X, Y) with X, Y those of the fine map times
            ``scale_factor``.

    Source: Lift-Splat-Shoot, arXiv:2008.05711; BEVFusion, arXiv:2205.13542.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int,
                 in_indices: Sequence[int] = (-1, 0), scale_factor: int = 1,
                 init_cfg: dict | None = None) -> None:
        """Build the fusing and the upsampling convolutions."""
        super().__init__(init_cfg)
        if len(in_channels) != 2 or len(in_indices) != 2:
            raise ValueError('LSSFPN merges two maps, got in_channels '
                             f'{in_channels} and in_indices {in_indices}')
        self.in_indices = tuple(in_indices)
        self.fuse = nn.Sequential(
            *conv_norm_relu(sum(in_channels), out_channels, 1),
            *conv_norm_relu(out_channels, out_channels, 3))
        self.upsample: nn.Module = nn.Identity()
        if scale_factor > 1:
            self.upsample = nn.Sequential(
                nn.Upsample(scale_factor=scale_factor, mode='bilinear',
                            align_corners=True),
                *conv_norm_relu(out_channels, out_channels, 3))

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Return the merged map."""
        coarse, fine = (x[index] for index in self.in_indices)
        coarse = F.interpolate(coarse, size=fine.shape[-2:], mode='bilinear',
                               align_corners=True)
        return self.upsample(self.fuse(torch.cat([coarse, fine], dim=1)))
