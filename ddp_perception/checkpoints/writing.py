"""Write checkpoints that mmengine and this package's commands read."""
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

FORMATS = ('pth', 'safetensors')
PART_PATTERN = r'\.part\d+'
"""How `whole_file` ends the name of a file that is not complete."""


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Let a file appear under its name once it is complete and on the disk.

    Args:
        path: file to write, in a folder that exists. A file of that name stays
            until then, and for good where an error occurs.

    Yields:
        Where to write: beside it. What a killed process leaves there is named
        as `PART_PATTERN` says.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part{os.getpid()}')
    try:
        yield part
        _flush(part)
        os.replace(part, path)
        with suppress(OSError):  # not every file system does it for folders
            _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush(path: str | Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_checkpoint(state: Mapping[str, Tensor], meta: dict, path: str | Path,
                     file_format: str = 'pth') -> None:
    """Write parameters to a file, whole or not at all.

    Args:
        state: parameters. Its ``_metadata``, the versions of the modules, is
            written too.
        meta: what is known about them; for safetensors what JSON can hold.
        path: file to write. Missing folders are made.
        file_format: ``'pth'``, as mmengine's Runner writes it, or
            ``'safetensors'``.

    Raises:
        ValueError: another format.
    """
    if file_format not in FORMATS:
        raise ValueError(f'file_format must be one of {FORMATS}, got {file_format!r}')
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        if file_format == 'pth':
            torch.save(dict(meta=meta, state_dict=state), part)
            return
        from safetensors.torch import save_file
        versions = getattr(state, '_metadata', {})
        save_file(dict(state), part, metadata=dict(
            format='pt', meta=json.dumps(meta, default=str),
            versions=json.dumps(versions)))


def read_safetensors(path: str | Path, device: str = 'cpu') -> dict:
    """Read a safetensors file as the dictionary of a ``.pth`` file.

    Returns:
        ``meta`` and ``state_dict``.
    """
    from collections import OrderedDict

    from safetensors import safe_open
    with safe_open(path, 'pt', device=str(device)) as file:
        state = OrderedDict((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118
        notes = file.metadata() or {}
    if 'versions' in notes:
        vars(state)['_metadata'] = OrderedDict(json.loads(notes['versions']))
    return dict(meta=json.loads(notes.get('meta', '{}')), state_dict=state)
