"""Write one HTML page about a run: figures, curves, pictures, configuration.

Reads the folder of a training or test (its work_dir) and whatever else lies in
it: figures of `test --out`, results of `probe`, curves of calibration metrics,
pictures. Each is known by what it holds, whatever its name. The page needs no
other file and no network, so that it can be mailed or printed.

Examples:
  ddp-perception report work_dirs/demo
  ddp-perception report work_dirs/demo --out demo.html
"""
from __future__ import annotations

import argparse
from pathlib import Path

from ddp_perception.cli import output_places
from ddp_perception.cli.errors import UserError
from ddp_perception.files import write_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('work_dir', metavar='WORK_DIR',
                        help='folder of a training or test, such as work_dirs/demo')
    parser.add_argument('--out', metavar='FILE.html',
                        help='the page (default: WORK_DIR/report.html)')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception.reports import NoRunError, read_run, render_page
    out = (output_places.require_file_place(args.out, '--out') if args.out
           else Path(args.work_dir, 'report.html'))
    try:
        found = read_run(args.work_dir)
    except NoRunError as error:
        raise UserError(str(error)) from error
    content = render_page(found).encode()
    try:
        path = write_file(out, content)
    except OSError as error:
        raise UserError(f'the page cannot be written to {out}: {error}') from error
    for source, wrong in found.damaged.items():
        print(f'warning: {source}: {wrong}')
    print(f'{path} ({len(content) / 1e6:.1f} MB)')
    return 0
