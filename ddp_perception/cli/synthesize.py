"""Write a small synthetic data set in a real one's format on disk.

Example:
  ddp-perception synthesize nuscenes data/synthetic_nuscenes --scenes 10

writes tables, camera images, LiDAR sweeps and the map of a procedural world,
which nuscenes-devkit and mmdet3d open like the real nuScenes.
"""
from ddp_perception.cli import forward

DATASETS = {'nuscenes': 'data_tools.synthetic_nuscenes.cli'}


def main(argv):
    """Run this sub-command."""
    return forward.run('synthesize', DATASETS, argv, __doc__)
