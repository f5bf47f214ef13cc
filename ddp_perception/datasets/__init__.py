"""Data sets and their pipeline steps, registered as ``ddp.<Type>``."""
from . import transforms
from .nuscenes_map import NuScenesMapDataset

__all__ = ['NuScenesMapDataset', 'transforms']
