"""Write a synthetic data set of a rig of its own, as ddp.BEVDataset reads it:
four cameras of two sizes, one LiDAR, a map of two classes (road, walkway) in
GeoJSON, and the lists train.json and val.json.

The same options always give the same bytes; a complete set is left alone and an
interrupted one is continued.
"""

import argparse

from data_tools.synthetic import command
from data_tools.synthetic_custom.options import Options
from data_tools.synthetic_custom.writer import write_synthetic_custom


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    command.add_common(parser, Options)
    add = parser.add_argument
    add('--train-drives', type=int, default=Options.train_drives,
        help='drives to train on, each through a world of its own')
    add('--val-drives', type=int, default=Options.val_drives,
        help='drives to evaluate on')
    add('--frames', type=int, default=Options.frames,
        help='per drive, half a second apart')
    add('--beams', type=int, default=Options.beams, help='LiDAR rings')
    add('--azimuths', type=int, default=Options.azimuths,
        help='LiDAR firings per turn')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    return command.write(args, Options, write_synthetic_custom, 'synthetic rig')
