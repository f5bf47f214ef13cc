"""Images that are given as arrays."""
from __future__ import annotations

import numpy as np

from ddp_perception.cli.errors import UserError


def blue_green_red(image: np.ndarray, channel_order: str, what: str) -> np.ndarray:
    """Return a checked image as OpenMMLab's pipelines expect it.

    Args:
        image: (H, W, 3) uint8.
        channel_order: 'bgr' or 'rgb'.
        what: It is called in messages.

    Returns:
        (H, W, 3) uint8, contiguous, in the order blue, green, red.

    Raises:
        UserError: it is of another kind or order.
    """
    if channel_order not in ('bgr', 'rgb'):
        raise UserError(f"channel_order must be 'bgr' or 'rgb', got {channel_order!r}")
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or (
            not image.size):
        raise UserError(f'{what} must be a file or an array (H, W, 3) uint8, got '
                        f'{image.shape} {image.dtype}')
    return np.ascontiguousarray(image if channel_order == 'bgr' else image[..., ::-1])
