"""Write checkpoints that mmengine and this package's commands read."""
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ddp_perception.files import whole_file

FORMATS = ('pth', 'safetensors')


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
    with whole_file(path, durable=True) as part:
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
