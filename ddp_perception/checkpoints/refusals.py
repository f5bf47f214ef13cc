"""What may be opened at all, and how a refusal is said."""
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO

_KINDS = ((stat.S_ISDIR, 'folder'), (stat.S_ISFIFO, 'pipe'),
          (stat.S_ISCHR, 'device'), (stat.S_ISBLK, 'device'),
          (stat.S_ISSOCK, 'socket'))

UNREADABLE = (pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError,
              EOFError, AttributeError, OverflowError, MemoryError, RuntimeError,
              OSError, zipfile.BadZipFile)
"""What reading damaged bytes ends in."""


class RefusedObject(pickle.UnpicklingError, ValueError):
    """A file holds an object that the safe reader does not admit."""


def one_line(error: object) -> str:
    """Return what an error says as one short line: bytes of a file are in it."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return ''.join(letter if letter.isprintable() else '?' for letter in text)[:300]


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file for reading if it is one: a pipe or a device has no end.

    Args:
        path: ``~`` stands for the home folder.

    Returns:
        The open file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is a folder, a pipe, a device or a socket.
    """
    path = Path(path).expanduser()
    # Without O_NONBLOCK opening a pipe waits for somebody to write to it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC
                     | getattr(os, 'O_NONBLOCK', 0))
    try:
        require_regular(os.fstat(handle), path)
    except ValueError:
        os.close(handle)
        raise
    return os.fdopen(handle, 'rb')


def require_regular(state: os.stat_result, path: str | Path) -> None:
    """Raise unless what lies behind a path is a file.

    Args:
        state: what `os.stat` says of the path.
        path: named in the message.

    Raises:
        ValueError: it is a folder, a pipe, a device or a socket.
    """
    mode = state.st_mode
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), 'special file')
        raise ValueError(f'{path} is a {kind}, expected a regular file')
