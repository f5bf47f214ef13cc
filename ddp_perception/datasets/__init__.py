"""Data sets and their pipeline steps, registered as ``ddp.<Type>``."""
from . import transforms
from .balanced import BalancedDataset
from .bev_dataset import BEVDataset
from .camvid import CamVidDataset
from .drivable_map import DrivableMapDataset
from .kitti_depth import KITTIDepthDataset
from .nuscenes_map import NuScenesMapDataset

__all__ = ['BEVDataset', 'BalancedDataset', 'CamVidDataset', 'DrivableMapDataset',
           'KITTIDepthDataset', 'NuScenesMapDataset', 'transforms']
