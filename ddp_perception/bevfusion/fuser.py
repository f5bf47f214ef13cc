"""Fusion of the camera's and the LiDAR's BEV features."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.registry import MODELS


@MODELS.register_module()
class ConvFuser(nn.Sequential):
    """Concatenate BEV maps along the channels and mix them by one convolution.

    Args:
        in_channels: number of channels of each map, camera first.
        out_channels: number of channels of the fused map.

    Shape:
        inputs: one (B, C_i, X, Y) per entry of ``in_channels``.
        returns: (B, out_channels, X, Y).

    Raises:
        ValueError: the maps' number, channels or sizes do not fit.

    Source: BEVFusion, arXiv:2205.13542.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        """Build convolution, norm and activation."""
        super().__init__(
            *conv_norm_relu(sum(in_channels), out_channels))
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Fuse the maps."""
        channels = tuple(x.shape[1] for x in inputs)
        if channels != self.in_channels:
            raise ValueError('the fuser was configured for maps of '
                             f'{self.in_channels} channels, got {channels}')
        if len({x.shape[2:] for x in inputs}) > 1:
            raise ValueError(
                'the camera and LiDAR BEV maps must have the same size, got '
                f'{[tuple(x.shape[2:]) for x in inputs]}; their grids (xbound '
                'and ybound, point_cloud_range and voxel_size) must cover the '
                'same area at the same resolution')
        return super().forward(torch.cat(list(inputs), dim=1))
