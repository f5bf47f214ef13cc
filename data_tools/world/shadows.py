"""Cast shadows on the ground, as a raster beside the material raster."""

import cv2
import numpy as np

from data_tools.world.solids import (
    BOX,
    CENTRE,
    CYLINDER,
    ELLIPSOID,
    HALF,
    TYPE,
    footprint,
)

CELL = 0.25
MAX_LENGTH = 45.0
_CIRCLE = np.stack((np.cos(np.arange(0, 6.28, .52)),
                    np.sin(np.arange(0, 6.28, .52))), 1)


class ShadowMap:
    """Darkness of the ground, 0 (lit) to 255 (shade), cells of `CELL` metres.

    Args:
        origin: World corner of the raster.
        size: Rows, columns.
        sun: (3,) unit vector towards the sun.
    """

    def __init__(self, origin: tuple[float, float], size: tuple[int, int],
                 sun: np.ndarray) -> None:
        self.origin = np.asarray(origin, float)
        self.still = np.zeros(size, np.uint8)
        self.slope = sun[:2] / max(float(sun[2]), .05)

    def _outline(self, row: np.ndarray) -> np.ndarray:
        kind = row[TYPE]
        low = max(row[CENTRE + 2] - row[HALF + 2], 0.)
        high = row[CENTRE + 2] + row[HALF + 2]
        if kind in (CYLINDER, ELLIPSOID):
            base = row[CENTRE:CENTRE + 2] + _CIRCLE * row[HALF]
        else:
            base = footprint(row)
        if kind == ELLIPSOID:  # its widest section throws the shadow
            low, high = .5 * (low + row[CENTRE + 2]), .5 * (
                high + row[CENTRE + 2])
        steps = self.slope * np.array([[low], [high]])
        length = np.hypot(*steps.T)[:, None]
        steps *= np.minimum(1, MAX_LENGTH / np.maximum(length, 1e-6))
        return np.concatenate((base - steps[0], base - steps[1]))

    def _draw(self, raster: np.ndarray, rows: np.ndarray) -> None:
        for row in rows:
            if row[TYPE] == BOX and row[HALF + 2] < .06:
                continue
            cells = (self._outline(row) - self.origin) / CELL - .5
            hull = cv2.convexHull(np.round(cells * 16).astype(np.int32))
            cv2.fillConvexPoly(raster, hull, 255, cv2.LINE_8, 4)

    def add_still(self, rows: np.ndarray) -> None:
        """Draw what never moves, softened once."""
        self._draw(self.still, rows)
        self.still = cv2.blur(self.still, (3, 3))

    def with_moving(self, rows: np.ndarray) -> np.ndarray:
        """The raster with what moves, as a copy.

        Args:
            rows: Solids that move.
        """
        raster = self.still.copy()
        self._draw(raster, rows)
        return raster
