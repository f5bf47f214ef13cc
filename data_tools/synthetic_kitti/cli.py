"""Command line of the synthetic KITTI writer."""
import argparse
from collections.abc import Sequence

from data_tools.synthetic import command
from data_tools.synthetic_kitti.options import Options
from data_tools.synthetic_kitti.writer import write_synthetic_kitti


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    make = command.base_parser(
        'kitti', 'Write a synthetic data set in the layout of KITTI depth: '
        'images, annotated sparse depth maps, calibration, and split files '
        'kitti_eigen_train.txt and kitti_eigen_test.txt.', Options)
    add = make.add_argument
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
    return make


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), write_synthetic_kitti, 'synthetic KITTI',
                       argv)
