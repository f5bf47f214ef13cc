"""Refuse places where nothing can be written, before any work is done."""
from __future__ import annotations

import os
from pathlib import Path

from ddp_perception.cli.errors import UserError


def require_file_place(path: str | Path, option: str = 'OUT') -> Path:
    """Return where a file is to be written; missing folders may be made there.

    Args:
        path: The file, which may be there.
        option: What names it on the command line.

    Raises:
        UserError: it is a folder, or its folder cannot be made or written to.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise UserError(f'{option} {path} is a folder: name the file to write')
    require_folder_place(path.parent, option)
    return path


def require_folder_place(path: str | Path, option: str = 'OUT') -> Path:
    """Return where files are to be written; missing folders may be made.

    Raises:
        UserError: it, or what it lies in, is no folder or cannot be written to.
    """
    path = Path(path).expanduser()
    there = next(place for place in (path, *path.absolute().parents)
                 if os.path.lexists(place))
    if not there.is_dir():
        raise UserError(f'{option}: {there} is no folder, so nothing can be written '
                        'into it')
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f'{option}: the folder {there} cannot be written to')
    return path
