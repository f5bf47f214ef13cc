"""Predictions on the image that they belong to."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmengine.structures import BaseDataElement

from ddp_perception.files import write_file


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
    from PIL import Image
    if 'image' in sample.metainfo:
        return sample.metainfo['image'].shape[:2]
    with Image.open(_path(sample)) as image:
        return image.height, image.width


def _path(sample: BaseDataElement) -> str:
    path = sample.metainfo.get('img_path')
    if not path:
        raise ValueError('a picture needs the image: put img_path among the meta_keys '
                         'of PackSegInputs')
    return path


def place_in_image(sample: BaseDataElement, values: np.ndarray,
                   outside: float = 0) -> np.ndarray:
    """Put a map at its place in the uncropped image.

    Args:
        sample: with ``kb_crop`` in its metainfo where `ddp.KBCrop` cut.
        values: (h, w).
        outside: value outside the crop.

    Returns:
        (H, W), of the same dtype.

    Raises:
        ValueError: the pipeline cut the image, and nothing says where.
    """
    from ddp_perception.visualization import crop_corner
    size = image_size(sample)
    if values.shape == size:
        return values
    top, left = crop_corner(sample.metainfo, (values.shape[0], values.shape[1]), size)
    whole = np.full(size, outside, values.dtype)
    whole[top:top + values.shape[0], left:left + values.shape[1]] = values
    return whole


def write_png(path: Path, values: np.ndarray) -> Path:
    """Write 8 or 16 bit values without loss."""
    return write_file(path, cv2.imencode('.png', values)[1].tobytes())
