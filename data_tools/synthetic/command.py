"""Command line that the writers share."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def image_size(text: str) -> tuple[int, int]:
    """Parse WIDTHxHEIGHT."""
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'expected WIDTHxHEIGHT such as 480x270, got {text!r}') from None
    return width, height


def base_parser(dataset: str, description: str,
                options: Any) -> argparse.ArgumentParser:
    """Parser with the arguments of every writer.

    Args:
        dataset: As in `ddp-perception synthesize DATASET`.
        description: What is written; that runs are repeatable and resumable is
            added.
        options: Dataclass whose defaults are shown.
    """
    make = argparse.ArgumentParser(
        prog=f'ddp-perception synthesize {dataset}',
        description=f'{description} The same options always give the same '
        'bytes; a complete set is left alone and an interrupted one is '
        'continued.', formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = make.add_argument
    add('out', help='folder to write; empty, new, or an earlier run of this')
    add('--seed', type=int, default=options.seed, help='of everything')
    add('--image-size', type=image_size, default='x'.join(map(str, options.image_size)),
        metavar='WxH', help='pixels of each picture')
    add('--workers', type=int, default=max(1, min(8, os.cpu_count() or 1)),
        help='processes')
    add('--overwrite', action='store_true',
        help='replace a synthetic set that was made with other options')
    return make


def run(parser: argparse.ArgumentParser, write: Callable[..., Path], title: str,
        argv: Sequence[str] | None = None) -> int:
    """Parse, write, report; returns the exit status.

    Args:
        parser: Its arguments are those of `write`, out first.
        write: The writer.
        title: What is ready in the end.
        argv: By default the process's own.
    """
    args = vars(parser.parse_args(argv))
    try:
        out = write(args.pop('out'), **args)
    except (ValueError, FileExistsError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{title} ready in {out}')
    return 0
