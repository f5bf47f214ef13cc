"""Predictions on the image that they belong to."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mmengine.structures import BaseDataElement

from ddp_perception.files import write_file

if TYPE_CHECKING:
    from torch import Tensor

    from ddp_perception.fields.field import Setting


def image_of(sample: BaseDataElement) -> np.ndarray:
    """Return the image of a sample, (H, W, 3) uint8 RGB, as it was recorded.

    It is the array `image` of the metainfo where there is one, or read from its file.

    Raises:
        ValueError: the sample does not name it, or it cannot be read.
    """
    from ddp_perception.visualization import read_image
    image = sample.metainfo.get('image')
    return read_image(_path(sample)) if image is None else image


def image_size(sample: BaseDataElement) -> tuple[int, int]:
    """Return height and width of the image of a sample, read from its header."""
    from ddp_perception.datasets.bounded_files import open_image
    if 'image' in sample.metainfo:
        return sample.metainfo['image'].shape[:2]
    with open_image(_path(sample)) as image:
        return image.height, image.width


def _path(sample: BaseDataElement) -> str:
    path = sample.metainfo.get('img_path')
    if not path:
        raise ValueError('a picture needs the image: put img_path among the meta_keys '
                         'of PackSegInputs')
    return path


def place_in_image(sample: BaseDataElement, values: np.ndarray,
                   outside: float = 0) -> np.ndarray:
    """Put a map, or several, at their place in the uncropped image.

    Args:
        sample: with ``kb_crop`` in its metainfo where `ddp.KBCrop` cut.
        values: (..., h, w).
        outside: value outside the crop.

    Returns:
        (..., H, W), of the same dtype.

    Raises:
        ValueError: the pipeline cut the image, and nothing says where.
    """
    from ddp_perception.visualization import crop_corner
    size = image_size(sample)
    height, width = values.shape[-2:]
    if (height, width) == size:
        return values
    top, left = crop_corner(sample.metainfo, (height, width), size)
    whole = np.full((*values.shape[:-2], *size), outside, values.dtype)
    whole[..., top:top + height, left:left + width] = values
    return whole


def loaded_image(inputs: Tensor, size: tuple[int, ...], setting: Setting
                 ) -> np.ndarray:
    """Return the image that a pipeline made, (H, W, 3) uint8 RGB.

    Args:
        inputs: (C, h, w).
        size: of the truth, to which the image is resized: (H, W).
        setting: says which channel is first.
    """
    from ddp_perception.visualization.loaded_samples import image_of_tensor
    image = image_of_tensor(inputs, setting.bgr)
    return image if image.shape[:2] == size else cv2.resize(
        image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)


def write_png(path: Path, values: np.ndarray) -> Path:
    """Write 8 or 16 bit values without loss."""
    return write_file(path, cv2.imencode('.png', values)[1].tobytes())
