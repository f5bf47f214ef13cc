"""A camera image with LiDAR points in it."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAREST = 1.0
"""Metres; closer points lie on the vehicle itself or behind the camera."""
FARTHEST = 50.0
"""Metres; where the depth colours end."""


def project_points(points: np.ndarray, img_from_lidar: np.ndarray,
                   size: tuple[int, int], nearest: float = NEAREST) -> tuple:
    """Project LiDAR points into a camera.

    Args:
        points: (n, 3 or more), x, y, z first, metres, LiDAR frame.
        img_from_lidar: (4, 4); maps (x, y, z, 1) to (u d, v d, d, 1), pixels
            and metres.
        size: (height, width) of the image.
        nearest: Smallest depth kept, in metres.

    Returns:
        (m, 2) pixels (u right, v down) and (m,) depths in metres of the points
        that the image shows, and (m,) their indices.

    Raises:
        ValueError: a shape is wrong.
    """
    points = np.asarray(points)
    matrix = np.asarray(img_from_lidar, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(f'points must be (n, 3 or more), got {points.shape}')
    if matrix.shape != (4, 4):
        raise ValueError(f'img_from_lidar must be (4, 4), got {matrix.shape}')
    image = points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
    index = np.flatnonzero(image[:, 2] >= nearest)
    depth = image[index, 2]
    pixels = image[index, :2] / depth[:, None]
    height, width = size
    seen = ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
    return pixels[seen], depth[seen], index[seen]


def draw_camera(axes: Axes, image: np.ndarray, title: str = '',
                points: np.ndarray | None = None,
                img_from_lidar: np.ndarray | None = None,
                point_size: float = 1.5) -> None:
    """Draw one camera image into matplotlib axes.

    Args:
        axes: Where.
        image: (H, W, 3) uint8, RGB.
        title: Above the image.
        points: See `project_points`; coloured by depth, near ones drawn last.
        img_from_lidar: With `points`.
        point_size: Area of a point in square typographic points.
    """
    axes.imshow(image, interpolation='bilinear')
    if points is not None and img_from_lidar is not None:
        pixels, depth, _ = project_points(points, img_from_lidar,
                                          (image.shape[0], image.shape[1]))
        order = np.argsort(-depth)
        axes.scatter(pixels[order, 0], pixels[order, 1], c=depth[order], s=point_size,
                     cmap='turbo_r', vmin=0, vmax=FARTHEST, linewidths=0)
    height, width = image.shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()
    axes.set_title(title, fontsize=9, pad=3)
