"""Read the pixel fields of data samples."""
from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement
    from torch import Tensor


def pixel_data(sample: BaseDataElement | Mapping[str, Any], key: str) -> Tensor | None:
    """Return the tensor of a field: PixelData, a dictionary of it, or a tensor.

    Returns:
        None where the sample has no such field.
    """
    field = sample.get(key)
    if field is None:
        return None
    return field['data'] if isinstance(field, dict) else field.data
