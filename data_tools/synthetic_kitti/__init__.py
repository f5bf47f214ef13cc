"""Synthetic data in the on-disk format of KITTI depth.

`write_synthetic_kitti` stores drives through `data_tools.world` as raw images
and annotated depth maps with Eigen-style split files.
"""

from data_tools.synthetic_kitti.writer import write_synthetic_kitti

__all__ = ['write_synthetic_kitti']
