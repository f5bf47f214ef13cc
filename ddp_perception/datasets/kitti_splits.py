"""Lists of KITTI depth frames: one frame per line, fields between blanks.

A line holds an image path, a depth path or ``None``, and a focal length in
pixels. Benchmark lists leave out the focal length, or the depth path too.
Every line of a file has the same fields. Empty lines are skipped.
"""
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ddp_perception.files import write_file
from ddp_perception.wording import few


class Frame(NamedTuple):
    """One line of a list.

    Attributes:
        image: Path relative to the folder of the images.
        depth: Path relative to the folder of the depth maps; None in a list of
            images alone.
        focal: Focal length in pixels, where the list has it.
    """

    image: str
    depth: str | None
    focal: float | None


def read_split(path: str | Path) -> tuple[list[Frame], int]:
    """Read a list of frames.

    Args:
        path: Text file.

    Returns:
        The frames, sorted by image path, and how many lines were left out
        because their depth is ``None``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is malformed; gives file, line number and text.

    Source: the protocol of the Eigen split as DDP, arXiv:2303.17559, uses
    it: 697 lines of the test list, of which 652 have a depth map.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'split file {path} is missing')
    frames, dropped, first = [], 0, None
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        where = f'{path}, line {number}: {line[:300]!r}'
        first = first or (number, len(fields))
        frame = _parse(fields, where)
        if len(fields) != first[1]:
            raise ValueError(f'{where} has {len(fields)} fields, but line '
                             f'{first[0]} has {first[1]}')
        if frame.depth == 'None':
            dropped += 1
        else:
            frames.append(frame)
    return sorted(frames, key=lambda frame: frame.image), dropped


def write_split(path: str | Path, frames: Iterable[Frame]) -> None:
    """Write a list of frames; whoever reads meanwhile finds the old one.

    Args:
        path: Text file.
        frames: All with the same fields.
    """
    write_file(path, ''.join(
        ' '.join(_texts(frame)) + '\n' for frame in frames).encode())


def missing_files(frames: Iterable[Frame], image_dir: str | Path,
                  depth_dir: str | Path) -> Iterator[list[str]]:
    """Tell which frames lack a file.

    Args:
        frames: Frames.
        image_dir: Folder of the images.
        depth_dir: Folder of the depth maps.

    Yields:
        Per frame, the paths that are not files; none as a rule.
    """
    for frame in frames:
        paths = [Path(image_dir, frame.image)]
        if frame.depth is not None:
            paths.append(Path(depth_dir, frame.depth))
        # Not pathlib's, which raises at names that no disk can hold.
        yield [str(path) for path in paths if not os.path.isfile(path)]


def first_of(paths: Sequence, count: int = 5) -> str:
    """Return the first few paths as lines of a message."""
    return '\n  ' + few((str(path)[:300] for path in paths), count, '\n  ')


def _parse(fields: list[str], where: str) -> Frame:
    if len(fields) > 3:
        raise ValueError(f'{where} has {len(fields)} fields; expected an '
                         'image path, a depth path or None, and a focal '
                         'length (paths must not hold blanks)')
    if fields[0] == 'None':
        raise ValueError(f'{where} has no image path')
    focal = None
    if len(fields) == 3:
        try:
            focal = float(fields[2])
        except ValueError:
            focal = -1.
        if not 0 < focal < float('inf'):
            raise ValueError(f'{where}: the third field must be a focal '
                             f'length in pixels, got {fields[2]!r}')
    return Frame(fields[0], fields[1] if len(fields) > 1 else None, focal)


def _texts(frame: Frame) -> Iterator[str]:
    yield frame.image
    if frame.depth is not None:
        yield frame.depth
        if frame.focal is not None:
            yield f'{frame.focal:.4f}'
