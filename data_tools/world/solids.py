"""The table of solids that rays are cast against.

A solid is one row of `FIELDS` numbers: an upright box whose sides may lean, a
cylinder, an ellipsoid or a wheel, turned about the vertical only. Everything
above the ground is made of such rows, so one numba loop draws them all.
"""
from collections.abc import Sequence

import numpy as np

BOX, CYLINDER, ELLIPSOID, WHEEL = 0, 1, 2, 3

# Columns. Half sizes in metres; a cylinder's radius is HALF, a wheel is a
# cylinder about its local y axis. The top of a box is TAPER smaller on each
# side and moved along local x by SHEAR, metres.
TYPE = 0
CENTRE = 1
HALF = 4
COS, SIN = 7, 8
TAPER_X, TAPER_Y, SHEAR = 9, 10, 11
MATERIAL = 12
OBJECT = 13  # index of the object that it belongs to, -1 for scenery
COLOUR = 14  # RGB in 0..255
SEED = 17
LABEL = 18
LIDAR = 19   # mean LiDAR return, 0..255
FIELDS = 20

BASE = -2    # index of the ground in the renderers' buffers

PLAIN, FACADE, CAR_BODY, CABIN, BUS_BODY, FOLIAGE, SIGN, LAMP = range(8)
_RETURN = {PLAIN: 22., FACADE: 17., CAR_BODY: 34., CABIN: 12., BUS_BODY: 30.,
           FOLIAGE: 26., SIGN: 190., LAMP: 30.}


def solid(kind: int, centre: Sequence[float] | np.ndarray,
          half: Sequence[float] | np.ndarray, label: int,
          colour: Sequence[float] | np.ndarray, *, material: int = PLAIN,
          yaw: float = 0., taper: tuple[float, float] = (0., 0.), shear: float = 0.,
          seed: int = 0, lidar: float | None = None) -> np.ndarray:
    """One row of the table, as (FIELDS,) float64."""
    row = np.zeros(FIELDS)
    row[TYPE] = kind
    row[CENTRE:CENTRE + 3] = centre
    row[HALF:HALF + 3] = half
    row[COS], row[SIN] = np.cos(yaw), np.sin(yaw)
    row[TAPER_X], row[TAPER_Y] = taper
    row[SHEAR] = shear
    row[MATERIAL], row[OBJECT], row[SEED] = material, -1, seed
    row[COLOUR:COLOUR + 3] = colour
    row[LABEL] = label
    row[LIDAR] = _RETURN[material] if lidar is None else lidar
    return row


def place(rows: np.ndarray, x: float, y: float, z: float, yaw: float,
          thing: int = -1) -> np.ndarray:
    """Rows (N, FIELDS) of a model moved to a pose, as a copy."""
    rows = np.array(rows, np.float64)
    c, s = np.cos(yaw), np.sin(yaw)
    px, py = rows[:, CENTRE].copy(), rows[:, CENTRE + 1].copy()
    rows[:, CENTRE] = x + c * px - s * py
    rows[:, CENTRE + 1] = y + s * px + c * py
    rows[:, CENTRE + 2] += z
    cos, sin = rows[:, COS].copy(), rows[:, SIN].copy()
    rows[:, COS] = c * cos - s * sin
    rows[:, SIN] = s * cos + c * sin
    rows[:, OBJECT] = thing
    return rows


def footprint(row: np.ndarray) -> np.ndarray:
    """Ground outline (4, 2) of a row's bounding box."""
    corners = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)], float)
    corners *= row[HALF:HALF + 2] if row[TYPE] != CYLINDER else row[HALF]
    turn = np.array([[row[COS], row[SIN]], [-row[SIN], row[COS]]])
    return corners @ turn + row[CENTRE:CENTRE + 2]
