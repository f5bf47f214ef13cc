"""Run the comparisons and write docs/parity.md."""
import argparse
import os
import re
import sys
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest  # noqa: E402

from tests.parity.recorder import Recorder  # noqa: E402
from tests.parity.table import write  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Return 0 if every file was compared and nothing failed."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.parity', description=__doc__)
    parser.add_argument('--reference', type=Path,
                        default=ROOT.parent / 'shared/reference',
                        help='folder with the golden numbers')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/parity.md')
    args = parser.parse_args()
    if not args.reference.is_dir():
        print(f'there is no reference folder {args.reference}', file=sys.stderr)
        return 2
    os.chdir(ROOT)
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'tests').rglob(
        'test_*.py') if re.search(r'golden\.load|reference_dir|GOLDEN',
                                  path.read_text()))
    recorder = Recorder(args.reference)
    with recorder.watching():
        status = pytest.main(['-q', '-p', 'no:cacheprovider', *files],
                             plugins=[recorder])
    missing = write(recorder, args.reference, args.out)
    for name in missing:
        print(f'not compared: {name}', file=sys.stderr)
    print(f'written to {args.out}')
    return 1 if status or missing or recorder.failed else 0


if __name__ == '__main__':
    sys.exit(main())
