"""Prepare a data set that you have on disk.

Examples:
  ddp-perception prepare nuscenes /data/nuscenes --version v1.0-mini
  ddp-perception prepare kitti /data/kitti_depth
  ddp-perception prepare cityscapes /data/cityscapes

nuscenes writes nuscenes_infos_train.pkl and nuscenes_infos_val.pkl into that
folder, in mmdet3d's format with what map segmentation needs in addition;
kitti checks the files of the split lists, or writes the lists; cityscapes
writes the label files that training reads.
"""
from ddp_perception.cli import forward

DATASETS = {'nuscenes': 'data_tools.prepare_nuscenes',
            'kitti': 'data_tools.prepare_kitti',
            'cityscapes': 'data_tools.prepare_cityscapes'}


def main(argv):
    """Run this sub-command."""
    return forward.run('prepare', DATASETS, argv, __doc__)
