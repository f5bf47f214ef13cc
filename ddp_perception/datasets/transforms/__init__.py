"""Pipeline steps, registered as ``ddp.<Type>``."""
from .images import CAMERAS, ImageAug3D, LoadMultiViewImages
from .lidar_aug import GlobalRotScaleTrans, RandomFlip3D
from .map_masks import LoadMapMasks
from .packing import PackMapInputs
from .points import LoadPoints, LoadSweeps

__all__ = [
    'CAMERAS', 'GlobalRotScaleTrans', 'ImageAug3D', 'LoadMapMasks',
    'LoadMultiViewImages', 'LoadPoints', 'LoadSweeps', 'PackMapInputs',
    'RandomFlip3D'
]
