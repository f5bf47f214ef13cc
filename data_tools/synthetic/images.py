"""Image files."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_image(path: Path, pixels: np.ndarray,
                parameters: Sequence[int] = ()) -> None:
    """Write an image and the folders that lead to it.

    Args:
        path: Its suffix decides the format.
        pixels: (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB.
        parameters: OpenCV encoder parameters.

    Raises:
        OSError: it could not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]  # OpenCV takes BGR
    if not cv2.imwrite(str(path), pixels, list(parameters)):
        raise OSError(f'could not write {path}')
