"""Write a synthetic data set in the layout of Cityscapes: street pictures and
their label ids, train and val.

The same options always give the same bytes; a complete set is left alone and an
interrupted one is continued.
"""

import argparse

from data_tools.synthetic import command
from data_tools.synthetic_cityscapes.options import Options
from data_tools.synthetic_cityscapes.writer import write_synthetic_cityscapes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    command.add_common(parser, Options)
    add = parser.add_argument
    add('--train-drives', type=int, default=Options.train_drives,
        help='drives to train on, each through a world of its own')
    add('--val-drives', type=int, default=Options.val_drives,
        help='drives to validate on')
    add('--frames', type=int, default=Options.frames, help='per drive')
    add('--stride', type=int, default=Options.stride,
        help='seventeenths of a second between frames')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    return command.write(args, Options, write_synthetic_cityscapes,
                         'synthetic Cityscapes')
