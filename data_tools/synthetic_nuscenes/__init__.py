"""Synthetic data in nuScenes' own on-disk format.

`write_synthetic_nuscenes` stores drives through `data_tools.world` as a
`v1.0-mini` (or `v1.0-trainval`) root.
"""

from data_tools.synthetic_nuscenes.writer import write_synthetic_nuscenes

__all__ = ['write_synthetic_nuscenes']
