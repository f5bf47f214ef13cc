"""Prepare a data set that you have on disk.

Examples:
  ddp-perception prepare nuscenes /data/nuscenes --version v1.0-mini
  ddp-perception prepare kitti /data/kitti_depth
  ddp-perception prepare cityscapes /data/cityscapes
  ddp-perception prepare custom /data/my_rig
  ddp-perception prepare argoverse2 /data/av2/sensor /data/av2_frames

nuscenes writes nuscenes_infos_train.pkl and nuscenes_infos_val.pkl into that
folder, in mmdet3d's format with what map segmentation needs in addition;
kitti checks the files of the split lists, or writes the lists; cityscapes
writes the label files that training reads; custom checks the lists of frames of
your own rig and every file that they name; argoverse2 turns logs of Argoverse 2
into such frames.
"""
import argparse

from data_tools.subcommands import add_datasets

DATASETS = {
    'nuscenes': ('data_tools.prepare_nuscenes', 'write info files'),
    'kitti': ('data_tools.prepare_kitti', 'check or write lists of frames'),
    'cityscapes': ('data_tools.prepare_cityscapes', 'write training labels'),
    'custom': ('data_tools.prepare_custom', 'check the frames of your own rig'),
    'argoverse2': ('data_tools.prepare_argoverse2',
                   'turn Argoverse 2 into such frames')}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    add_datasets(parser, DATASETS)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    return args.run_dataset(args)
