"""Data sets and their pipeline steps, registered as ``ddp.<Type>``."""
from . import transforms
from .balanced import BalancedDataset
from .camvid import CamVidDataset
from .drivable_map import DrivableMapDataset
from .kitti_depth import KITTIDepthDataset
from .nuscenes_map import NuScenesMapDataset

__all__ = ['BalancedDataset', 'CamVidDataset', 'DrivableMapDataset',
           'KITTIDepthDataset', 'NuScenesMapDataset', 'transforms']
