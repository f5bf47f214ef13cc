"""Write a small synthetic data set in a real one's format on disk.

Examples:
  ddp-perception synthesize nuscenes data/synthetic_nuscenes --scenes 10
  ddp-perception synthesize kitti data/synthetic_kitti
  ddp-perception synthesize cityscapes data/synthetic_cityscapes

All show a procedural road world. nuscenes-devkit and mmdet3d open the first
like the real nuScenes (tables, camera images, LiDAR sweeps, map); the others
are images with sparse depth, and images with label ids.
"""
from ddp_perception.cli import forward

DATASETS = {'nuscenes': 'data_tools.synthetic_nuscenes.cli',
            'kitti': 'data_tools.synthetic_kitti.cli',
            'cityscapes': 'data_tools.synthetic_cityscapes.cli'}


def main(argv):
    """Run this sub-command."""
    return forward.run('synthesize', DATASETS, argv, __doc__)
