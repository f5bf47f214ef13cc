"""The image of a sample, and where its prediction lies in it."""
from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ddp_perception.datasets.bounded_files import open_image, read_file

if TYPE_CHECKING:
    import numpy as np


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as the pipelines do.

    Args:
        path: The file.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: it cannot be read, is cut off, or is too large to be; see
            `read_file`.
    """
    import cv2
    import mmcv
    try:
        content = read_file(path)
        with open_image(io.BytesIO(content)) as image:
            image.load()  # cv2 takes a JPEG that is cut off
        image = mmcv.imfrombytes(content, channel_order='rgb')
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError,
            KeyError, ArithmeticError, struct.error, zlib.error,
            cv2.error) as error:  # what Pillow raises on damaged bytes
        raise ValueError(f'image {path} cannot be read: {error}') from None
    if image is None:
        raise ValueError(f'image {path} cannot be read: it cannot be decoded')
    return image


def crop_corner(meta: dict, shape: tuple[int, int],
                size: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of the image's pixel where a prediction begins.

    Args:
        meta: Metainfo of the sample; kb_crop where `ddp.KBCrop` cut.
        shape: Height and width of the prediction.
        size: Height and width of the image in its file.

    Raises:
        ValueError: the pipeline cut the image, and nothing says where.
    """
    if 'kb_crop' in meta:
        return tuple(meta['kb_crop'][:2])
    if tuple(shape) != tuple(size):
        raise ValueError(
            f'the pipeline cuts {meta.get("img_path", "the image")} from '
            f'{size[0]} x {size[1]} to {shape[0]} x {shape[1]} pixels; only '
            'ddp.KBCrop says where it cuts, with kb_crop among the meta_keys '
            'of PackSegInputs')
    return 0, 0
