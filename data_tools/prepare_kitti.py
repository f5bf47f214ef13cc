"""Check a KITTI depth root against its split files, or write such files.

Run "ddp-perception prepare kitti ROOT". It reads every split file
(--split, by default each .txt of the root), looks for the files that they
name, and checks that depth maps are 16-bit PNGs of the size of their image.
Where the root has no split file, give --write-splits: kitti_train.txt and
kitti_val.txt then list the frames that have both files, divided by drive.

  ROOT/input/<date>/<drive>_sync/image_02/data/<frame>.png, or .jpg
  ROOT/gt_depth/<drive>_sync/proj_depth/groundtruth/image_02/<frame>.png
"""
import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ddp_perception.datasets.image_header import read_image_size
from ddp_perception.datasets.kitti_splits import (
    Frame,
    first_of,
    missing_files,
    read_split,
    write_split,
)
from ddp_perception.datasets.png_header import read_png_header
from ddp_perception.progress import hides_bar
from ddp_perception.wording import counted

IMAGE_TYPES = '.png', '.jpg', '.jpeg'
TRAIN, VAL = 'kitti_train.txt', 'kitti_val.txt'


def check_split(root: str | Path, split: str | Path, progress: bool = True) -> dict:
    """Check the files of one split.

    Args:
        root: Holds the folders input and gt_depth.
        split: Split file.
        progress: Show a progress bar.

    Returns:
        frames, dropped (lines without depth), missing and wrong: the paths of
        missing files, and a sentence per faulty depth map.

    Raises:
        FileNotFoundError, ValueError: see `read_split`.
    """
    root = Path(root)
    frames, dropped = read_split(split)
    report: dict[str, Any] = {'frames': len(frames), 'dropped': dropped, 'missing': [],
              'wrong': []}
    lost = missing_files(frames, root / 'input', root / 'gt_depth')
    for frame, missing in zip(tqdm(frames, desc=Path(split).name,
                                   unit='frame', disable=hides_bar(progress)), lost):
        report['missing'] += missing
        if not missing:
            report['wrong'] += _faults(root, frame)
    return report


def find_frames(root: str | Path) -> tuple[dict[str, list[Frame]], int]:
    """Return the frames of a root that have image and depth map.

    Args:
        root: Holds the folders input and gt_depth.

    Returns:
        Frames by drive, and how many images have no depth map (the official
        maps lack the first and last five frames of each drive). Focal lengths
        are those of input/<date>/calib_cam_to_cam.txt, or all None where one
        is missing.

    Raises:
        FileNotFoundError: a folder is missing, or no frame has both files.
    """
    root = Path(root)
    for name in ('input', 'gt_depth'):
        if not (root / name).is_dir():
            raise FileNotFoundError(f'{root} has no folder {name}')
    drives: dict[str, list[tuple]] = {}
    without = 0
    images = {path.with_suffix(''): path  # a frame of two files: the first type's
              for kind in reversed(IMAGE_TYPES)
              for path in (root / 'input').glob(f'*/*_sync/image_02/data/*{kind}')}
    for path in sorted(images.values()):
        date, drive = path.parts[-5], path.parts[-4]
        depth = f'{drive}/proj_depth/groundtruth/image_02/{path.stem}.png'
        if not (root / 'gt_depth' / depth).is_file():
            without += 1
            continue
        image = f'{date}/{drive}/image_02/data/{path.name}'
        drives.setdefault(drive, []).append((date, image, depth))
    if not drives:
        raise FileNotFoundError(
            f'no frame of {root} has both files: {len(images)} images match '
            'input/<date>/<drive>_sync/image_02/data/<frame>'
            f'({"|".join(IMAGE_TYPES)})')
    dates = {date for group in drives.values() for date, _, _ in group}
    focal = {date: _focal(root / 'input' / date) for date in dates}
    if None in focal.values():
        focal = dict.fromkeys(dates)  # a file's lines have the same fields
    return {drive: [Frame(image, depth, focal[date])
                    for date, image, depth in group]
            for drive, group in drives.items()}, without


def split_drives(drives: dict[str, list[Frame]],
                 val_share: float = .2) -> tuple[list[Frame], list[Frame]]:
    """Divide drives into training and validation.

    Args:
        drives: Frames by drive.
        val_share: Share of the drives to validate on, rounded up; the last in
            order of name. At least one drive stays on each side.

    Returns:
        Training and validation.

    Raises:
        ValueError: there is only one drive, or the share is not in (0, 1).
    """
    if not 0 < val_share < 1:
        raise ValueError(f'val_share must lie in (0, 1), got {val_share}')
    if len(drives) < 2:
        raise ValueError('frames are divided by drive, and there is only '
                         f'{", ".join(drives)}')
    names = sorted(drives)
    # Rounding must not add a drive: 0.07 of 100 is 7.000000000000001.
    count = math.ceil(val_share * len(names) - 1e-9)
    count = min(max(count, 1), len(names) - 1)
    train, val = ([frame for name in group for frame in drives[name]]
                  for group in (names[:-count], names[-count:]))
    return train, val


def write_splits(root: str | Path, val_share: float = .2,
                 overwrite: bool = False) -> list[Path]:
    """Write kitti_train.txt and kitti_val.txt into a root.

    Args:
        root: Holds the folders input and gt_depth.
        val_share: See `split_drives`.
        overwrite: Replace files that exist.

    Returns:
        The two files.

    Raises:
        FileExistsError: one exists and `overwrite` is off.
        FileNotFoundError, ValueError: see `find_frames`, `split_drives`.
    """
    paths = [Path(root, name) for name in (TRAIN, VAL)]
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(f'{", ".join(existing)} exist; replace them '
                              'with --overwrite')
    drives, without = find_frames(root)
    for path, frames in zip(paths, split_drives(drives, val_share)):
        write_split(path, frames)
        names = {Path(frame.image).parts[1] for frame in frames}
        print(f'{path}: {counted(len(frames), "frames")} of '
              f'{counted(len(names), "drives")}')
    if without:
        print(f'{counted(without, "images")} without a depth map: in neither')
    return paths


def _faults(root: Path, frame: Frame) -> Iterator[str]:
    """Yield what is wrong with the existing files of a frame."""
    try:
        size = _image_size(root / 'input' / frame.image)
        if frame.depth is None:
            return
        depth = read_png_header(root / 'gt_depth' / frame.depth)
    except ValueError as error:
        yield str(error)
        return
    path = root / 'gt_depth' / frame.depth
    if not depth.holds_measurements:
        yield (f'{path} must be a 16-bit grey PNG (metres x 256), it is '
               f'{depth.bits}-bit {depth.colour}')
    elif (depth.height, depth.width) != size:
        yield (f'{path} is {depth.height} x {depth.width}, its image '
               f'{size[0]} x {size[1]}')


def _image_size(path: Path) -> tuple[int, int]:
    """Return height and width of an image; nothing of it is decoded.

    Raises:
        ValueError: it is no image.
    """
    if path.suffix.lower() == '.png':
        header = read_png_header(path)
        return header.height, header.width
    try:
        width, height = read_image_size(path)
    except ValueError:
        raise ValueError(f'{path} is not an image') from None
    return height, width


def _focal(folder: Path) -> float | None:
    """Return the focal length of the left colour camera, or None."""
    path = folder / 'calib_cam_to_cam.txt'
    if not path.is_file():
        return None
    for line in path.read_text(errors='replace').splitlines():
        name, _, values = line.partition(':')
        if name == 'P_rect_02':
            try:
                focal = float(values.split()[0])
            except (IndexError, ValueError):
                raise ValueError(f'{path} has no numbers after P_rect_02'
                                 ) from None
            if not 0 < focal < float('inf'):
                raise ValueError(f'{path}: P_rect_02 must begin with a focal '
                                 f'length in pixels, got {focal}')
            return focal
    raise ValueError(f'{path} has no P_rect_02')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('root', metavar='ROOT', type=Path,
                        help='holds the folders input and gt_depth')
    parser.add_argument('--split', type=Path, metavar='FILE', nargs='+',
                        default=[], help='split files to check (default: each '
                        '.txt of ROOT)')
    parser.add_argument('--write-splits', action='store_true',
                        help=f'write {TRAIN} and {VAL} first')
    parser.add_argument('--val-share', type=float, default=.2, metavar='X',
                        help='share of the drives in the latter (default: '
                        '%(default)s)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace split files that exist')
    parser.add_argument('--allow-missing', action='store_true',
                        help='report missing files, but succeed')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    try:
        if not args.root.is_dir():
            raise FileNotFoundError(f'KITTI root {args.root} is not a folder')
        written = write_splits(args.root, args.val_share, args.overwrite
                               ) if args.write_splits else []
        splits = args.split or written or sorted(args.root.glob('*.txt'))
        if not splits:
            raise FileNotFoundError(
                f'{args.root} has no split file (.txt); name one with --split '
                'or write them with --write-splits')
        reports = [(split, check_split(args.root, split)) for split in (
            path if path.is_file() else args.root / path for path in splits)]
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    good = [_tell(split, report, args.allow_missing)
            for split, report in reports]
    return 0 if all(good) else 1


def _tell(split: str | Path, report: dict, allow_missing: bool) -> bool:
    """Print a report; return whether the split can be used."""
    print(f'{split}: {counted(report["frames"], "frames")}, '
          f'{counted(report["dropped"], "lines")} without depth map')
    missing, wrong = report['missing'], report['wrong']
    if missing:
        print(f'error: {split}: {len(missing)} files are missing:'
              f'{first_of(missing)}',
              file=sys.stderr)
    if wrong:
        print(f'error: {split}: {len(wrong)} frames have faulty files:'
              f'{first_of(wrong)}', file=sys.stderr)
    if not report['frames']:
        print(f'error: {split} has no frame with a depth map',
              file=sys.stderr)
    return bool(report['frames']) and not wrong and (allow_missing
                                                     or not missing)
