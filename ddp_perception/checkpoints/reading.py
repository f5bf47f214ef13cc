"""Read checkpoint files without running code that they may contain.

A pickle names functions and classes that are called while it is read, so a
file from a stranger can do anything. Here its instructions are judged first
(`pickle_audit`), what it calls are functions of ours (`checkpoint_pickle`,
`tensors`), and its bytes are taken from where they lie in the file
(`zip_records`, `legacy_records`), never by way of torch's own reader: that
takes a record's size on trust, and runs TorchScript programs.
"""
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from torch import Tensor

from ddp_perception.checkpoints.addresses import fetch, is_address
from ddp_perception.checkpoints.checkpoint_pickle import NAMES, read_object
from ddp_perception.checkpoints.legacy_records import (
    find_pickles,
    find_storages,
    is_legacy,
)
from ddp_perception.checkpoints.pickle_audit import audit
from ddp_perception.checkpoints.refusals import (
    UNREADABLE,
    RefusedObject,
    one_line,
    open_regular,
)
from ddp_perception.checkpoints.tensors import TensorBuilder
from ddp_perception.checkpoints.writing import read_safetensors
from ddp_perception.checkpoints.zip_records import find_records

_LARGEST_HEADER = 1 << 24
"""Bytes of a safetensors header; a hundred for each tensor is usual."""

__all__ = ['RefusedObject', 'load_checkpoint', 'load_checkpoint_file']


def load_checkpoint(path: str | Path, map_location: Any = 'cpu',
                    trusted: bool = False) -> Any:
    """Read a checkpoint from a local file or an address.

    Args:
        path: see `load_checkpoint_file` for files and `fetch` for addresses.
        map_location: see `load_checkpoint_file`.
        trusted: see `load_checkpoint_file`.

    Raises:
        See there; OSError: it cannot be fetched.
    """
    if not is_address(path):
        return load_checkpoint_file(path, map_location, trusted)
    content = load_checkpoint_file(fetch(str(path)), map_location, trusted)
    if str(path).startswith('mmcls://'):
        from mmengine.runner.checkpoint import _process_mmcls_checkpoint
        content = _process_mmcls_checkpoint(content)
    return content


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu',
                         trusted: bool = False) -> Any:
    """Read a checkpoint from a local file.

    Args:
        path: file that `torch.save`, mmengine's Runner or another trainer
            wrote, or a ``.safetensors`` file; ``~`` stands for the home
            folder.
        map_location: where tensors go, as in `torch.load`.
        trusted: admit any Python object. Such a file can run any code while
            it is read: only for files whose origin you trust.

    Returns:
        What was saved, usually a dictionary.

    Raises:
        FileNotFoundError: there is no such file.
        RefusedObject: the file holds something else than tensors, plain
            containers, numbers and mmengine's training curves, or takes far
            more memory or depth than those of its size, and is not trusted.
            The message names the object.
        ValueError: the file is damaged, no checkpoint or no regular file.
    """
    path = Path(os.path.expanduser(path))
    try:
        file = open_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(f'checkpoint {path} does not exist') from None
    with file:
        try:
            if path.suffix == '.safetensors':
                _require_small_header(file)
                return read_safetensors(path, map_location or 'cpu')
            if trusted:
                return torch.load(file, map_location=map_location,
                                  weights_only=False)
            return _read(file, map_location)
        except RefusedObject as error:
            raise RefusedObject(
                f'{path} holds {one_line(error)}, which could run code or '
                'exhaust the memory while it is read. If you trust the origin of this '
                'file, pass --trust-checkpoint (or trusted=True)') from None
        except (*UNREADABLE, SafetensorError) as error:
            if trusted:
                raise
            raise ValueError(
                f'{path} cannot be read as a checkpoint: {one_line(error)}; is the '
                'file complete?') from None


def _require_small_header(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    header = int.from_bytes(file.read(8), 'little')
    if header > min(size - 8, _LARGEST_HEADER):
        raise ValueError(f'its header claims {header} bytes of {size}, and may have '
                         f'{_LARGEST_HEADER}')


def _read(file: BinaryIO, map_location: Any) -> Any:
    size = os.fstat(file.fileno()).st_size
    start = file.read(262)
    if start[:4] == b'PK\3\4':
        return _read_zip(file, size, map_location)
    if start[257:] == b'ustar':
        raise ValueError('it is a tar archive, as torch wrote them before 0.1.10')
    if not start:
        raise ValueError('it is empty')
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if is_legacy(data):
            return _read_legacy(data, map_location)
        audit(data, NAMES)  # says what a bare pickle holds, if it is one
    raise ValueError('it is a bare pickle, not a file of torch.save')


def _read_zip(file: Any, size: int, map_location: Any) -> Any:
    records = find_records(file)

    def content(name: str) -> bytes:
        begin, length = records[name]
        file.seek(begin)
        return file.read(length)

    def storage(key: str, length: int, location: str) -> Tensor:
        begin, there = records.get(f'data/{key}', (0, 0))
        if there != length:
            raise ValueError(f'storage {key} has {there} bytes, not the {length} that '
                             'its tensors claim')
        file.seek(begin)
        return _fill(file.readinto, length, location, map_location)

    if 'byteorder' in records and content('byteorder') != b'little':
        raise ValueError('it comes from a machine of another byte order')
    pickled = content('data.pkl')
    if audit(pickled, NAMES) != len(pickled):
        raise ValueError('bytes follow its pickle')
    return read_object(pickled, TensorBuilder(storage, size))


def _read_legacy(data: mmap.mmap, map_location: Any) -> Any:
    pickled, keys, begin = find_pickles(data, NAMES)
    claimed = TensorBuilder(_nothing, len(data))  # to learn the storages' sizes
    read_object(data[pickled], claimed)
    places = find_storages(data, read_object(data[keys], claimed), claimed.claims,
                           begin)

    def storage(key: str, length: int, location: str) -> Tensor:
        begin, _ = places[key]

        def copy(buffer: memoryview) -> int:
            buffer[:] = data[begin:begin + length]
            return length
        return _fill(copy, length, location, map_location)

    return read_object(data[pickled], TensorBuilder(storage, len(data)))


def _nothing(key: str, length: int, location: str) -> Tensor:
    return torch.empty(length, dtype=torch.uint8, device='meta')


def _fill(read_into: Callable[[memoryview], int], length: int, location: str,
          map_location: Any) -> Tensor:
    """Return bytes of the file as a tensor where `torch.load` would put them."""
    content = torch.empty(length, dtype=torch.uint8)
    if length and read_into(content.numpy().data) != length:
        raise ValueError('the file ends within a tensor')
    if callable(map_location):
        placed = map_location(content.untyped_storage(), location)
        if placed is not None:
            placed = getattr(placed, '_untyped_storage', placed)
            return torch.empty(0, dtype=torch.uint8, device=placed.device).set_(placed)
        return content.to(location)
    if isinstance(map_location, dict):
        return content.to(map_location.get(location, location))
    return content.to(location if map_location is None else map_location)
