"""Car parks in the layout plane: bays along a kerb, and lots off the road."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from shapely import Polygon, box

from data_tools.world.layout import Road

LINE = 0.12          # painted width of a bay's line, metres
BAY_LENGTH = 5.2
BAY_WIDTH = 2.6
AISLE = 6.4
MODULE = 2 * BAY_LENGTH + AISLE


@dataclass(frozen=True)
class Slot:
    """One bay: centre and heading in the layout plane, size in metres."""

    u: float
    v: float
    heading: float
    length: float
    width: float


@dataclass
class CarPark:
    """An area of bays.

    Attributes:
        polygon: Layout outline.
        paint: The bays' lines.
        slots: Its bays.
        road_key: The road that leads to it.
        heading: Layout heading of its bays.
    """

    polygon: Polygon
    paint: list[Polygon]
    slots: list[Slot]
    road_key: tuple[int, int]
    heading: float


def kerbside(road: Road, road_key: tuple[int, int], s0: float, s1: float,
             sign: int, depth: float, forward: bool) -> CarPark:
    """Bays in a recess of the kerb, parallel or (depth > 4) at right angles.

    Args:
        road: The road beside them.
        road_key: Its key in the layout.
        s0, s1: Extent along the road; shortened to whole bays.
        sign: +1 right of the road's positive direction, -1 left.
        depth: Metres into the block.
        forward: Direction of the traffic beside them.
    """
    kerb, parallel = road.half_width, depth < 4
    pitch = 6.2 if parallel else BAY_WIDTH
    count = int((s1 - s0) / pitch)
    s1 = s0 + count * pitch
    near, far = sign * kerb, sign * (kerb + depth)
    heading = road.heading(forward)
    if not parallel:
        into = road.point(0, sign * 1.0) - road.point(0, 0.0)
        heading = float(np.arctan2(into[1], into[0]))
    paint = [road.rectangle(s0 + k * pitch - LINE / 2,
                            s0 + k * pitch + LINE / 2, near, far)
             for k in range(count + 1)]
    paint.append(road.rectangle(s0, s1, near, near + sign * LINE))
    slots = []
    for k in range(count):
        u, v = road.point(s0 + (k + .5) * pitch, .5 * (near + far))
        slots.append(Slot(float(u), float(v), heading,
                          pitch if parallel else depth,
                          depth if parallel else pitch))
    return CarPark(road.rectangle(s0, s1, near, far), paint, slots, road_key,
                   heading)


def lot(road: Road, road_key: tuple[int, int], centre: float, sign: int,
        near: float, depth: float) -> CarPark:
    """A lot of two rows of bays either side of an aisle.

    Args:
        road: The road it is entered from.
        road_key: Its key in the layout.
        centre: s of the aisle, which runs away from the road.
        sign: +1 right of the road's positive direction, -1 left.
        near: Distance of its near edge from the centre line.
        depth: Metres away from the road.
    """
    count = int((depth - 1.0) / BAY_WIDTH)
    depth = count * BAY_WIDTH + 1.0
    outline = road.rectangle(centre - MODULE / 2, centre + MODULE / 2,
                             sign * near, sign * (near + depth))
    paint, slots = [], []
    for row in (-1, 1):
        inner, outer = AISLE / 2, AISLE / 2 + BAY_LENGTH
        for k in range(count + 1):
            d = near + .5 + k * BAY_WIDTH
            paint.append(road.rectangle(
                centre + row * inner, centre + row * outer,
                sign * (d - LINE / 2), sign * (d + LINE / 2)))
        step = road.point(row * 1.0, 0.0) - road.point(0, 0.0)
        heading = float(np.arctan2(step[1], step[0]))
        for k in range(count):
            u, v = road.point(centre + row * .5 * (inner + outer),
                              sign * (near + .5 + (k + .5) * BAY_WIDTH))
            slots.append(Slot(float(u), float(v), heading, BAY_LENGTH,
                              BAY_WIDTH))
    return CarPark(outline, paint, slots, road_key, slots[0].heading)


def driveway(road: Road, centre: float, sign: int, far: float) -> Polygon:
    """Asphalt from the road's kerb to a lot's near edge at distance `far`."""
    half = AISLE / 2
    # It starts a little inside the road: the union with it has no seam.
    return road.rectangle(centre - half, centre + half,
                          sign * (road.half_width - .2), sign * (far + .05))


def core_rectangle(bounds: Sequence[float], insets: Sequence[float]) -> Polygon:
    """Block bounds (u0, v0, u1, v1) shrunk by per-side insets, same order."""
    return box(bounds[0] + insets[0], bounds[1] + insets[1],
               bounds[2] - insets[2], bounds[3] - insets[3])
