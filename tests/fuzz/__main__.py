"""Run odd inputs through every reader and print how they end.

    python -m tests.fuzz --inputs 3000 --seed 0
    python -m tests.fuzz --inputs 200 --only checkpoints
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
os.environ.setdefault('MPLBACKEND', 'Agg')


def main(argv=None):
    """Return 1 where an input is neither read nor refused as it should be."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.fuzz', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--inputs', type=int, default=3000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, help='processes at a time')
    parser.add_argument('--only', help='readers whose name has this text')
    parser.add_argument('--first', type=int, default=0, help='index of the first')
    parser.add_argument('--minutes', type=float, help='begin none later than this')
    args = parser.parse_args(argv)

    import cv2
    import torch

    from tests.fuzz.campaign import GOOD, described, run_campaign, table
    from tests.fuzz.materials import write_materials
    torch.set_num_threads(1)
    cv2.setNumThreads(0)

    def report(outcome):
        if outcome.kind not in GOOD:
            print(described(outcome), flush=True)
        if sys.stderr.isatty():
            print(f'\r{outcome.index + 1}', end='', file=sys.stderr)
        elif outcome.index % 100 == 99:
            print(outcome.index + 1, flush=True, file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        materials = write_materials(Path(folder, 'materials'))
        outcomes = run_campaign(args.inputs, args.seed, materials, args.jobs,
                                args.only, report, args.minutes, args.first)
    print(table(outcomes))
    return int(any(outcome.kind not in GOOD for outcome in outcomes))


if __name__ == '__main__':
    sys.exit(main())
