"""Read pickles of plain values: the info files of data sets.

An info file from somebody else is a program as much as a checkpoint is; see
`pickle_audit`. Lists, dictionaries, tuples, sets, numbers, texts and NumPy
arrays of numbers or texts are all that one needs.
"""
import gc
import io
import json
import mmap
import os
import pickle
from pathlib import Path
from typing import Any

from ddp_perception.checkpoints import numpy_pickles
from ddp_perception.checkpoints.file_sizes import require_bounded_file
from ddp_perception.checkpoints.pickle_audit import audit
from ddp_perception.checkpoints.pickle_names import Names, normal_module
from ddp_perception.checkpoints.refusals import (
    UNREADABLE,
    RefusedObject,
    one_line,
    open_regular,
)

_NAMES = Names({**numpy_pickles.RULES, ('collections', 'OrderedDict'): 'rs'})
_BEGINNING = 1 << 16


class _Unpickler(pickle.Unpickler):

    arrays = False

    def find_class(self, module: str, name: str) -> Any:
        module = normal_module(module)
        _NAMES.rule(module, name)
        if module == 'collections':
            return super().find_class(module, name)
        self.arrays = True
        return numpy_pickles.find(module, name)


def load_plain(path: str | Path) -> Any:
    """Read a pickle that holds plain values alone.

    Args:
        path: A regular file.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: there is none.
        RefusedObject: it holds another object, or would take far more memory
            or depth than plain data of its size. Names the file and what.
        ValueError: it is truncated, damaged, no pickle or no regular file.
    """
    path = Path(path).expanduser()
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError(f'{path} is empty')
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read(content, file, path)


def load_info_file(path: str | Path) -> Any:
    """Read an info file, JSON or a pickle of plain values.

    Raises:
        See `load_plain`; the name ends in .json for JSON. ValueError: it is too large,
            see `require_bounded_file`.
    """
    path = Path(path).expanduser()
    require_bounded_file(path)
    if path.suffix != '.json':
        return load_plain(path)
    with open_regular(path) as file:
        try:
            if b'\0' in file.read(_BEGINNING):  # a sparse file claims gigabytes of it
                raise ValueError('it has NUL bytes')
            file.seek(0)
            return json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path} is not JSON: {error}') from None


def read_plain(content: bytes, path: str | Path) -> Any:
    """Read a pickle in memory; `path` is for messages. See `load_plain`."""
    return _read(content, io.BytesIO(content), path)


def _read(content: Any, file: Any, path: str | Path) -> Any:
    collects = gc.isenabled()
    gc.disable()  # else it looks through all that was read, again and again
    try:
        end = audit(content, _NAMES)
        if end != len(content):
            raise ValueError(f'{len(content) - end} bytes follow the pickle')
        unpickler = _Unpickler(file)
        value = unpickler.load()
        return numpy_pickles.replace_stand_ins(value) if unpickler.arrays else value
    except RefusedObject as error:
        raise RefusedObject(
            f'{path} holds {one_line(error)}: only lists, dictionaries, numbers, texts '
            'and NumPy arrays are read from it, as anything else could run code or '
            'exhaust the memory') from None
    except UNREADABLE as error:
        raise ValueError(f'{path} cannot be read as a pickle: {one_line(error)}; is '
                         'the file complete?') from None
    finally:
        if collects:
            gc.enable()
