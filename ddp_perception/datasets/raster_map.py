"""Maps of any classes as images seen from above."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from .bounded_files import read_file
from .map_rasterizer import MapRasterizer, planar_similarity


class RasterMap:
    """One image per class, north up, on a common grid of square pixels.

    Column 0 begins at the least x and the last row ends at the least y, so that
    row 0 is the northern edge: pixel (row, column) spans x from
    ``origin[0] + column * resolution`` and y from
    ``origin[1] + (rows - 1 - row) * resolution``, one resolution each.

    Args:
        images: By class, (rows, columns); the class is where a pixel is not 0.
        resolution: Metres per pixel.
        origin: Least x and least y of the images' outer edge, metres in the frame
            of the poses.

    Raises:
        ValueError: the images differ in size.
    """

    def __init__(self, images: Mapping[str, np.ndarray], resolution: float,
                 origin: Sequence[float]) -> None:
        shapes = {name: image.shape for name, image in images.items()}
        if len(set(shapes.values())) != 1:
            raise ValueError('the images of a map must be of one size, (rows, columns) '
                             f'are {shapes}')
        self.images = {name: image != 0 for name, image in images.items()}
        self.rows, self.columns = next(iter(shapes.values()))
        self.resolution, self.origin = float(resolution), np.array(origin, float)

    @property
    def bounds(self) -> tuple[float, ...]:
        """Least x and y, greatest x and y in metres."""
        size = np.array([self.columns, self.rows]) * self.resolution
        return *self.origin.tolist(), *(self.origin + size).tolist()

    def masks(self, rasterizer: MapRasterizer, global_from_bev: np.ndarray
              ) -> np.ndarray:
        """Look up the pixel below the centre of each cell.

        Args:
            rasterizer: Says which grid and classes.
            global_from_bev: See `MapRasterizer`.

        Returns:
            (num_classes, X, Y) uint8; 0 outside the images.
        """
        scale, degrees, mirrored = planar_similarity(global_from_bev)
        centre = (np.asarray(global_from_bev, float) @ rasterizer.centre)[:2]
        steps = np.divide(rasterizer.size, rasterizer.shape)
        x, y = (((np.arange(cells) + .5) * step - size / 2) * scale
                for cells, step, size in zip(rasterizer.shape, steps, rasterizer.size,
                                             strict=True))
        x, y = x[:, None], (-y if mirrored else y)[None]
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        east, north = centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y
        columns = np.floor((east - self.origin[0]) / self.resolution).astype(int)
        rows = self.rows - 1 - np.floor((north - self.origin[1]) / self.resolution
                                        ).astype(int)
        inside = ((rows >= 0) & (rows < self.rows)
                  & (columns >= 0) & (columns < self.columns))
        rows, columns = np.where(inside, rows, 0), np.where(inside, columns, 0)
        return np.stack([self.images[name][rows, columns] & inside
                         for name in rasterizer.classes]).astype(np.uint8)


def read_class_image(path: str | Path) -> np.ndarray:
    """Read the image of a class: (rows, columns) of 8 or 16 bits.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be decoded, has colours, or is too large (see
            `read_file`); names the file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'map file {path} is missing')
    content = read_file(path)
    image = cv2.imdecode(np.frombuffer(content, np.uint8),
                         cv2.IMREAD_UNCHANGED) if content else None
    if image is None:
        raise ValueError(f'{path} is not a readable image')
    if image.ndim != 2 or image.dtype.kind != 'u':
        raise ValueError(f'{path} must have a single channel of whole numbers, 0 where '
                         f'the class is not, got {image.dtype} of shape {image.shape}')
    return image
