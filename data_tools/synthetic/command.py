"""What the writers' sub-commands share."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

from data_tools.synthetic.options import SetOptions


def image_size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'expected WIDTHxHEIGHT such as 480x270, got {text!r}') from None
    return width, height


class _Help(argparse.RawDescriptionHelpFormatter,
            argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the description's lines and shows every default."""


def add_common(parser: argparse.ArgumentParser, options: type[SetOptions]) -> None:
    """Add the options of every writer.

    Args:
        parser: parser of `ddp-perception synthesize DATASET`.
        options: dataclass whose defaults are shown.
    """
    parser.formatter_class = _Help
    add = parser.add_argument
    add('out', help='folder to write; empty, new, or an earlier run of this')
    add('--seed', type=int, default=options.seed, help='of everything')
    add('--image-size', type=image_size, default='x'.join(map(str, options.image_size)),
        metavar='WxH', help='pixels of each picture')
    add('--workers', type=int, default=max(1, min(8, os.cpu_count() or 1)),
        help='processes')
    add('--overwrite', action='store_true',
        help='replace a synthetic set that was made with other options')


def write(args: argparse.Namespace, options: type, writer: Callable[..., Path],
          title: str) -> int:
    """Write a set, and report; returns the exit status.

    Args:
        args: parsed; has the fields of `options` and what `add_common` adds.
        options: dataclass of the set's options.
        writer: takes the folder, the options by name, workers and overwrite.
        title: what is ready in the end.
    """
    names = [field.name for field in dataclasses.fields(options)]
    try:
        out = writer(args.out, workers=args.workers, overwrite=args.overwrite,
                     **{name: getattr(args, name) for name in names})
    except (ValueError, FileExistsError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{title} ready in {out}')
    return 0
