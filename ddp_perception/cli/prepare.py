"""Write the info files of a data set that you have on disk.

Example:
  ddp-perception prepare nuscenes /data/nuscenes --version v1.0-mini

writes nuscenes_infos_train.pkl and nuscenes_infos_val.pkl into that folder,
in mmdet3d's format with what map segmentation needs in addition.
"""
from ddp_perception.cli import forward

DATASETS = {'nuscenes': 'data_tools.prepare_nuscenes'}


def main(argv):
    """Run this sub-command."""
    return forward.run('prepare', DATASETS, argv, __doc__)
