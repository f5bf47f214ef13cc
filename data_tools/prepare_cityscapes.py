"""Write the training labels of Cityscapes beside its label ids.

Run "ddp-perception prepare cityscapes ROOT". For each
ROOT/gtFine/<split>/<city>/*_gtFine_labelIds.png it writes
*_gtFine_labelTrainIds.png with the 19 evaluated classes as 0 to 18 and 255
for everything else. Files that exist are left alone, so that an interrupted
run goes on where it stopped.
"""
import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_tools.cityscapes_ids import IGNORED, LAST_LABEL_ID, to_train_ids
from ddp_perception.datasets.bounded_files import read_file
from ddp_perception.files import write_file
from ddp_perception.progress import hides_bar

SOURCE, TARGET = '_gtFine_labelIds.png', '_gtFine_labelTrainIds.png'
IMAGE = '_leftImg8bit.png'


def convert(source: Path, target: Path) -> list[int]:
    """Write the training labels of one file; complete or not at all.

    Args:
        source: Label ids, single-channel 8-bit PNG.
        target: Training labels.

    Returns:
        Ids in the file that Cityscapes does not define; they are written as
        255.

    Raises:
        ValueError: the file cannot be decoded, is of another type, or too large;
            see `read_file`.
    """
    stored = read_file(source)
    ids = cv2.imdecode(np.frombuffer(stored, np.uint8),
                       cv2.IMREAD_UNCHANGED) if stored else None
    if ids is None:
        raise ValueError(f'{source} cannot be decoded')
    if ids.dtype != np.uint8 or ids.ndim != 2:
        channels = 1 if ids.ndim == 2 else ids.shape[2]
        raise ValueError(f'{source} must be a single-channel 8-bit PNG of '
                         f'label ids, got {ids.dtype} with {channels} channels'
                         )
    present = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
    _, content = cv2.imencode('.png', to_train_ids(ids))
    write_file(target, content.tobytes())
    return [int(i) for i in present if LAST_LABEL_ID < i != IGNORED]


def prepare(root: str | Path, splits: Sequence[str] | None = None,
            overwrite: bool = False, jobs: int = 2,
            progress: bool = True) -> dict[str, tuple[int, int]]:
    """Write the training labels of a root.

    Args:
        root: Cityscapes root, holds gtFine.
        splits: Folders of gtFine, all by default.
        overwrite: Write files anew that exist.
        jobs: Files converted at a time.
        progress: Show a progress bar.

    Returns:
        Files written and left alone, by split.

    Raises:
        FileNotFoundError: folders or label files are missing, or an image of
            leftImg8bit has no label file; says how many, names the first.
        ValueError: see `convert`.
    """
    root = Path(root)
    sources = _find(root, splits)
    _require_labels(root, sources)
    counts, strange = {}, {}
    total = sum(map(len, sources.values()))
    with tqdm(total=total, unit='file', desc='training labels',
              disable=hides_bar(progress)) as bar, ThreadPoolExecutor(jobs) as pool:
        for split, paths in sources.items():
            todo = [path for path in paths
                    if overwrite or not _target(path).exists()]
            counts[split] = len(todo), len(paths) - len(todo)
            bar.update(len(paths) - len(todo))
            try:
                for path, found in zip(todo, pool.map(
                        lambda path: convert(path, _target(path)), todo)):
                    bar.update()
                    if found:
                        strange[str(path)] = found
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for split, (written, kept) in counts.items():
        print(f'{split}: {written} files written, {kept} left as they were')
    if strange:
        lines = [f'{path}: {ids}' for path, ids in strange.items()]
        print(f'warning: {len(strange)} files hold ids above {LAST_LABEL_ID}, '
              f'which Cityscapes does not define; they became {IGNORED}; '
              f'first:{_first(lines)}', file=sys.stderr)
    return counts


def _target(path: Path) -> Path:
    return path.with_name(path.name[:-len(SOURCE)] + TARGET)


def _find(root: Path, splits: Sequence[str] | None) -> dict[str, list[Path]]:
    folder = root / 'gtFine'
    if not folder.is_dir():
        raise FileNotFoundError(f'{root} has no folder gtFine; unpack '
                                'gtFine_trainvaltest.zip there')
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    unknown = [split for split in splits or () if split not in found]
    if unknown:
        raise FileNotFoundError(f'{folder} has no {", ".join(unknown)}; it '
                                f'has {", ".join(found) or "no folders"}')
    sources = {split: sorted((folder / split).glob(f'*/*{SOURCE}'))
               for split in splits or found}
    empty = [split for split, paths in sources.items() if not paths]
    if empty or not sources:
        raise FileNotFoundError(
            f'{folder} has no <city>/*{SOURCE} in {", ".join(empty) or "it"}')
    return sources


def _require_labels(root: Path, sources: dict[str, list[Path]]) -> None:
    """Raise where an image lacks its label file."""
    missing = []
    for split, paths in sources.items():
        present = {path.name[:-len(SOURCE)] for path in paths}
        missing += [str(root / 'gtFine' / split / image.parent.name
                        / f'{image.name[:-len(IMAGE)]}{SOURCE}')
                    for image in sorted((root / 'leftImg8bit' / split).glob(
                        f'*/*{IMAGE}'))
                    if image.name[:-len(IMAGE)] not in present]
    if missing:
        raise FileNotFoundError(f'{len(missing)} images have no label file; '
                                f'first:{_first(missing)}')


def _first(lines: Sequence[str]) -> str:
    return ''.join(f'\n  {line}' for line in lines[:5])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('root', metavar='ROOT', type=Path,
                        help='holds gtFine, and leftImg8bit as a rule')
    parser.add_argument('--splits', nargs='+', metavar='SPLIT',
                        help='folders of gtFine (default: all)')
    parser.add_argument('--overwrite', action='store_true',
                        help='write files anew that exist')
    parser.add_argument('--jobs', type=int, default=2, metavar='N',
                        help='files at a time (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    try:
        if not args.root.is_dir():
            raise FileNotFoundError(
                f'Cityscapes root {args.root} is not a folder')
        if args.jobs < 1:
            raise ValueError(f'--jobs must be at least 1, got {args.jobs}')
        prepare(args.root, args.splits, args.overwrite, args.jobs)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0
