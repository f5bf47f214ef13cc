"""The semantic prior: a picture of where one can drive or walk."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data_tools.world.layers import MapLayers

RESOLUTION = 0.1  # metres per pixel, what the devkit assumes
_SHIFT = 4


class MapMask:
    """Drivable area and walkways of one location, 255 on 0.

    Args:
        edge: Width, height of the canvas, metres.
    """

    def __init__(self, edge: tuple[float, float]) -> None:
        width, height = (int(round(e / RESOLUTION)) for e in edge)
        self.image = np.zeros((height, width), np.uint8)

    def add_region(self, layers: MapLayers) -> None:
        """Draw a region; row 0 is the northern edge (greatest y)."""
        for layer in ('drivable_area', 'walkway'):
            for polygon in layers.polygons(layer):
                rings = []
                for ring in (polygon.exterior, *polygon.interiors):
                    xy = np.asarray(ring.coords) / RESOLUTION
                    xy[:, 1] = self.image.shape[0] - xy[:, 1]
                    rings.append(np.round((xy - .5) * (1 << _SHIFT))
                                 .astype(np.int32))
                cv2.fillPoly(self.image, rings, 255, cv2.LINE_8, _SHIFT)

    def write(self, path: Path) -> None:
        """Write a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.image).save(path, compress_level=1)
