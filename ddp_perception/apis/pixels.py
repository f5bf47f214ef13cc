"""Images that are given in memory."""
from __future__ import annotations

import numpy as np
import PIL.Image

from ddp_perception.cli.errors import UserError
from ddp_perception.datasets.transforms.images import is_picture

PHOTOGRAPHS = ('L', 'P', 'RGB', 'RGBA')
"""Modes of Pillow's images, of 8 bits, that turn to colours without a loss."""


def blue_green_red(image: np.ndarray | PIL.Image.Image, channel_order: str, what: str
                   ) -> np.ndarray:
    """Return a checked image as OpenMMLab's pipelines expect it.

    Args:
        image: (H, W, 3) uint8, or one of Pillow's, which knows its order itself.
        channel_order: Of an array, 'bgr' or 'rgb'.
        what: It is called in messages.

    Returns:
        (H, W, 3) uint8, contiguous and writable, in the order blue, green, red.

    Raises:
        UserError: it is of another kind or order.
    """
    if channel_order not in ('bgr', 'rgb'):
        raise UserError(f"channel_order must be 'bgr' or 'rgb', got {channel_order!r}")
    if isinstance(image, PIL.Image.Image):
        if image.mode not in PHOTOGRAPHS:
            raise UserError(f'{what} must be of 8 bits and one of the modes '
                            f'{", ".join(PHOTOGRAPHS)}, got {image.mode}')
        image, channel_order = np.asarray(image.convert('RGB')), 'rgb'
    elif image is None:  # what cv2.imread returns of a file that it cannot read
        raise UserError(f'{what} must be a file or an array (H, W, 3) uint8, got None; '
                        'was its file read?')
    image = np.asarray(image)
    if not is_picture(image):
        raise UserError(f'{what} must be a file or an array (H, W, 3) uint8, got '
                        f'{image.shape} {image.dtype}')
    return np.require(image if channel_order == 'bgr' else image[..., ::-1],
                      requirements=['C', 'W'])
