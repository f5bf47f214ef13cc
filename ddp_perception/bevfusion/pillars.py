"""Pillar encoder whose inputs are brought to one scale."""
from collections.abc import Sequence

import torch
from mmdet3d.models.voxel_encoders import PillarFeatureNet
from torch import Tensor

from ddp_perception.registry import MODELS


@MODELS.register_module()
class ScaledPillarFeatureNet(PillarFeatureNet):
    """mmdet3d's pillar features, divided by a typical size of each.

    Unscaled, tens of metres and intensities of up to 255 stand beside kerbs
    of 0.15 m, and a short training never sees the kerbs. The parameters are
    those of `PillarFeatureNet`; a checkpoint of one means something else in
    the other.

    Args:
        point_scale: typical size of each number of a point: metres of x, y
            and z, then intensity and whatever follows.
        offset_scale: typical size of the offsets of x, y and z from the
            pillar's mean point and from its centre, metres.
        in_channels, feat_channels, voxel_size, point_cloud_range, norm_cfg:
            as in `PillarFeatureNet`.

    Raises:
        ValueError: a scale is missing or not positive.

    Source: PointPillars, arXiv:1812.05784.
    """

    def __init__(self, point_scale: Sequence[float], offset_scale: Sequence[float],
                 in_channels: int, feat_channels: Sequence[int],
                 voxel_size: Sequence[float], point_cloud_range: Sequence[float],
                 norm_cfg: dict | None = None):
        super().__init__(in_channels, feat_channels, with_distance=False,
                         voxel_size=voxel_size, point_cloud_range=point_cloud_range,
                         norm_cfg=norm_cfg or dict(type='BN1d', eps=1e-3, momentum=0.01),
                         legacy=False)
        if len(point_scale) != in_channels or len(offset_scale) != 3:
            raise ValueError(f'point_scale needs {in_channels} numbers and offset_scale '
                             f'3, got {len(point_scale)} and {len(offset_scale)}')
        scale = torch.tensor([*point_scale, *offset_scale, *offset_scale])
        if not (scale > 0).all():
            raise ValueError(f'scales must be positive, got {scale.tolist()}')
        self.register_buffer('scale', scale, persistent=False)
        self.pfn_layers[0].register_forward_pre_hook(self._divide)

    def _divide(self, layer, args: tuple) -> tuple[Tensor, ...]:
        features, *rest = args
        return features / self.scale, *rest
