"""Write files whole or not at all."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART_PATTERN = r'\.part\d+'
"""How `whole_file` ends the name of a file that is not complete."""


@contextmanager
def whole_file(path: str | Path, durable: bool = False) -> Iterator[Path]:
    """Let a file appear under its name once it is complete.

    Args:
        path: of the file, in a folder that exists. A file of that name stays
            until then, and for good where an error occurs.
        durable: wait until it is on the disk, so that it outlives a failure of
            the machine: for checkpoints.

    Yields:
        Where to write: beside it. What a killed process leaves there is named
        as `PART_PATTERN` says.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        yield part
        if durable:
            _flush(part)
        os.replace(part, path)
        if durable:
            with suppress(OSError):  # not every file system does it for folders
                _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: str | Path, content: bytes) -> Path:
    """Write bytes whole or not at all; the folder is made.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(content)
    return path
