"""Read the pixel fields of data samples."""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmengine.structures import BaseDataElement
    from torch import Tensor


def pixel_data(sample: BaseDataElement | dict, key: str) -> Tensor | None:
    """Return the tensor of a PixelData field, packed or as a dictionary.

    Returns:
        None where the sample has no such field.
    """
    field = sample.get(key)
    if field is None:
        return None
    return field['data'] if isinstance(field, dict) else field.data
