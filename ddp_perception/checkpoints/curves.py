"""Training curves of mmengine's checkpoints in types that torch reads safely."""
from typing import Any

import numpy as np
import torch

_KEY = 'curves'


def store_curves(checkpoint: dict) -> None:
    """Replace the curves, objects of mmengine, by tensors.

    Scalars of NumPy among the notes of the run become numbers of Python.

    Args:
        checkpoint: as mmengine's Runner is about to write it; changed in
            place. ``checkpoint['curves']`` maps a name to values, counts
            (float64 or int64, as long as the curve) and the greatest length.
    """
    hub = checkpoint['message_hub']
    curves = hub['log_scalars']
    checkpoint[_KEY] = {
        name: (*(torch.from_numpy(numbers.copy()) for numbers in curve.data),
               curve.max_length) for name, curve in curves.items()}
    checkpoint['message_hub'] = {
        'log_scalars': {},
        'runtime_info': _plain(hub['runtime_info']),
        'resumed_keys': {key: value for key, value in hub['resumed_keys'].items()
                         if key not in curves}}


def restore_curves(checkpoint: dict) -> None:
    """Undo `store_curves` on a checkpoint that is about to be resumed.

    Args:
        checkpoint: changed in place; left alone where it has no such curves.
    """
    from mmengine.logging import HistoryBuffer
    if _KEY not in checkpoint or 'message_hub' not in checkpoint:
        return
    hub = checkpoint['message_hub']
    for name, (values, counts, length) in checkpoint.pop(_KEY).items():
        hub['log_scalars'][name] = HistoryBuffer(
            values.cpu().numpy(), counts.cpu().numpy(), length)
        hub['resumed_keys'][name] = True


def _plain(value: Any) -> Any:
    """Return a copy without scalars of NumPy."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
