"""Command line of the synthetic Cityscapes writer."""
import argparse
from collections.abc import Sequence

from data_tools.synthetic import command
from data_tools.synthetic_cityscapes.options import Options
from data_tools.synthetic_cityscapes.writer import write_synthetic_cityscapes


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    make = command.base_parser(
        'cityscapes', 'Write a synthetic data set in the layout of '
        'Cityscapes: street pictures and their label ids, train and val.',
        Options)
    add = make.add_argument
    add('--train-drives', type=int, default=Options.train_drives,
        help='drives to train on, each through a world of its own')
    add('--val-drives', type=int, default=Options.val_drives,
        help='drives to validate on')
    add('--frames', type=int, default=Options.frames, help='per drive')
    add('--stride', type=int, default=Options.stride,
        help='seventeenths of a second between frames')
    return make


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), write_synthetic_cityscapes,
                       'synthetic Cityscapes', argv)
