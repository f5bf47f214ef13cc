"""Write a small synthetic data set in a real one's format on disk.

Examples:
  ddp-perception synthesize nuscenes data/synthetic_nuscenes --scenes 10
  ddp-perception synthesize kitti data/synthetic_kitti
  ddp-perception synthesize cityscapes data/synthetic_cityscapes
  ddp-perception synthesize custom data/synthetic_custom

All show a procedural road world. nuscenes-devkit and mmdet3d open the first
like the real nuScenes (tables, camera images, LiDAR sweeps, map); the next are
images with sparse depth, and images with label ids; the last is a rig of four
cameras and a LiDAR in the format for data of your own (docs/own_data.md).
"""
import argparse

from data_tools.subcommands import add_datasets

DATASETS = {
    'nuscenes': ('data_tools.synthetic_nuscenes.cli', 'cameras, LiDAR and map'),
    'kitti': ('data_tools.synthetic_kitti.cli', 'images with sparse depth'),
    'cityscapes': ('data_tools.synthetic_cityscapes.cli', 'images with label ids'),
    'custom': ('data_tools.synthetic_custom.cli', 'a rig of its own, with maps')}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    add_datasets(parser, DATASETS)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    return args.run_dataset(args)
