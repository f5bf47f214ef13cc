"""Write a synthetic data set in the layout of KITTI depth: images, annotated
sparse depth maps, calibration, and split files kitti_eigen_train.txt and
kitti_eigen_test.txt.

The same options always give the same bytes; a complete set is left alone and an
interrupted one is continued.
"""

import argparse

from data_tools.synthetic import command
from data_tools.synthetic_kitti.options import Options
from data_tools.synthetic_kitti.writer import write_synthetic_kitti


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    command.add_common(parser, Options)
    add = parser.add_argument
    add('--train-drives', type=int, default=Options.train_drives,
        help='drives to train on, each through a world of its own')
    add('--test-drives', type=int, default=Options.test_drives,
        help='drives to test on')
    add('--frames', type=int, default=Options.frames, help='per drive')
    add('--stride', type=int, default=Options.stride,
        help='tenths of a second between frames')
    add('--sweeps', type=int, default=Options.sweeps,
        help='LiDAR sweeps behind each depth map (odd, 1 to 11)')
    add('--beams', type=int, default=Options.beams,
        help='LiDAR rings; 0: 64 at 375 rows, and in proportion')
    add('--azimuths', type=int, default=Options.azimuths,
        help='LiDAR firings per turn; 0: 2083 at 1242 columns, and in '
        'proportion')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    return command.write(args, Options, write_synthetic_kitti, 'synthetic KITTI')
