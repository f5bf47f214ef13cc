"""Pipeline steps, registered as ``ddp.<Type>``."""
from .bev_masks import LoadBEVMasks
from .depth import DepthRandomCrop, DepthRandomRotate, KBCrop, LoadKITTIDepth
from .depth_color import DepthColorAug
from .images import CAMERAS, ImageAug3D, LoadMultiViewImages
from .lidar_aug import GlobalRotScaleTrans, RandomFlip3D
from .map_masks import LoadMapMasks
from .map_prior import (
    DropPriorChannels,
    FlipMapPrior,
    PackMapPrior,
    RotateMapPrior,
)
from .packing import PackDenseInputs, PackMapInputs
from .points import LoadPoints, LoadSweeps

__all__ = [
    'CAMERAS', 'DepthColorAug', 'DepthRandomCrop', 'DepthRandomRotate',
    'DropPriorChannels', 'FlipMapPrior', 'GlobalRotScaleTrans', 'ImageAug3D', 'KBCrop',
    'LoadBEVMasks', 'LoadKITTIDepth', 'LoadMapMasks', 'LoadMultiViewImages',
    'LoadPoints', 'LoadSweeps', 'PackDenseInputs', 'PackMapInputs', 'PackMapPrior',
    'RandomFlip3D', 'RotateMapPrior'
]
