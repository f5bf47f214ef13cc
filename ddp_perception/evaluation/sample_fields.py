"""Fields of the data samples that metrics get."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ddp_perception.files import write_file
from ddp_perception.pixels import pixel_data


def tensor_of(sample: Mapping[str, Any], key: str, hint: str = '') -> Tensor:
    """Return the tensor of a field: pixel data, packed or as a dict, or a tensor.

    Args:
        sample: of a metric's `process`.
        key: name of the field.
        hint: what to do where it is missing, for the message.

    Raises:
        ValueError: the sample has no such field.
    """
    data = pixel_data(sample, key)
    if data is None:
        raise ValueError(f'sample {_name(sample)} has no {key}{hint and ": "}{hint}')
    return data


def plane_of(sample: Mapping[str, Any], key: str, hint: str = '') -> Tensor:
    """Return a field of (1, H, W) or (H, W) as (H, W); see `tensor_of`."""
    data = tensor_of(sample, key, hint)
    plane = data[0] if data.dim() == 3 and len(data) == 1 else data
    if plane.dim() != 2:
        raise ValueError(f'{key} of {_name(sample)} must be (1, H, W), got '
                         f'{tuple(data.shape)}')
    return plane


def write_curves(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write arrays and figures as JSON, what is not finite as null."""
    return write_file(path, (json.dumps(_plain(content), indent=1, allow_nan=False)
                             + '\n').encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _name(sample: Mapping[str, Any]) -> Any:
    return sample.get('token') or sample.get('img_path') or '?'
