"""What lies between the roads: walkways, verges, car parks, buildings, parks.

All in the layout plane; see `data_tools.world.layout`.
"""
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely import Polygon, box
from shapely.geometry.base import BaseGeometry

from data_tools.world import parking
from data_tools.world.layout import BORDER, ROADS_PER_AXIS, Layout, Link


@dataclass
class Block:
    """The ground between four roads.

    Attributes:
        key: Unique in the layout.
        outline: The kerb line, as if there were no car parks.
        raised: Everything at kerb height.
        verge: Width of the grass between kerb and walkway, metres.
        walkways: Paved paths for people.
        use: 'yard' (paved, with buildings) or 'grass' (a park).
        core: Rectangle inside the walkways.
        car_parks: Kerbside bays and lots.
        driveways: From the road to the lots.
        footprints: Buildings: u, v, half sizes (du, dv).
    """

    key: str
    outline: Polygon
    raised: Polygon
    verge: float
    walkways: list[Polygon]
    use: str
    core: Polygon
    car_parks: list[parking.CarPark] = field(default_factory=list)
    driveways: list[Polygon] = field(default_factory=list)
    footprints: list[tuple] = field(default_factory=list)


@dataclass(frozen=True)
class _Side:
    """One side of a block: its road, link and on which side of it."""

    road_key: tuple[int, int]
    link: Link
    sign: int


def polygons_of(shape: BaseGeometry) -> list[Polygon]:
    """The polygons of a geometry that are larger than a speck (0.3 m2)."""
    return [g for g in shapely.get_parts(shape)
            if g.geom_type == 'Polygon' and g.area > 0.3]


def _sides(layout: Layout, a: int, b: int) -> list[_Side | None]:
    """Sides of block (a, b) in the order -u, -v, +u, +v."""
    links = {link.key: link for link in layout.links}

    def side(axis: int, road: int, index: int, sign: int) -> _Side | None:
        if not 0 <= road < ROADS_PER_AXIS:
            return None
        return _Side((axis, road), links[f'link{axis}.{road}.{index}'], sign)

    return [side(1, a - 1, b, 1), side(0, b - 1, a, -1),
            side(1, a, b, -1), side(0, b, a, 1)]


def free_spans(link: Link) -> list[tuple[float, float]]:
    """S ranges of a link clear of crossings and stop areas."""
    spans = []
    for lo, hi in link.paint_spans():
        lo = lo + (8 if link.low else 2)
        hi = hi - (8 if link.high else 2)
        if hi - lo > 12:
            spans.append((lo, hi))
    return spans


def _kerbside_bays(rng: np.random.Generator, layout: Layout,
                   side: _Side) -> list[parking.CarPark]:
    road = layout.road(side.road_key)
    depth = float(rng.choice([2.5, 5.2], p=[.6, .4]))
    bays = []
    for lo, hi in free_spans(side.link):
        length = min(hi - lo, rng.uniform(18, 42))
        start = lo + rng.random() * (hi - lo - length)
        bays.append(parking.kerbside(
            road, side.road_key, start, start + length, side.sign, depth,
            forward=side.sign == layout.side))
    return bays


def _lot(rng: np.random.Generator, layout: Layout, side: _Side, inset: float,
         room: float) -> tuple[parking.CarPark, Polygon] | None:
    road = layout.road(side.road_key)
    spans = [(lo, hi) for lo, hi in free_spans(side.link)
             if hi - lo > parking.MODULE]
    if not spans or room < 14:
        return None
    lo, hi = spans[rng.integers(len(spans))]
    half = parking.MODULE / 2
    centre = rng.uniform(lo + half, hi - half)
    near = road.half_width + inset
    park = parking.lot(road, side.road_key, centre, side.sign, near,
                       min(room, rng.uniform(18, 32)))
    return park, parking.driveway(road, centre, side.sign, near)


def _footprints(rng: np.random.Generator, core: Polygon, taken: list[BaseGeometry],
                tries: int) -> list[tuple]:
    """Buildings that stand apart, most of them along the core's edges."""
    u0, v0, u1, v1 = core.bounds
    placed: list[tuple] = []
    for _ in range(tries):
        du, dv = rng.uniform(4.5, 11, 2)
        if u1 - u0 < 2 * du + 1 or v1 - v0 < 2 * dv + 1:
            continue
        u, v = rng.uniform(u0 + du, u1 - du), rng.uniform(v0 + dv, v1 - dv)
        edge = rng.integers(5)
        u = (u0 + du, u1 - du)[edge] if edge < 2 else u
        v = (v0 + dv, v1 - dv)[edge - 2] if 2 <= edge < 4 else v
        shape = box(u - du - 1.2, v - dv - 1.2, u + du + 1.2, v + dv + 1.2)
        if any(shape.intersects(other) for other in taken):
            continue
        taken.append(shape)
        placed.append((u, v, du, dv))
    return placed


def _ramps(layout: Layout, sides: Iterable[_Side | None],
           reach: float) -> list[Polygon]:
    """Paving that joins crossings to the walkway across a verge."""
    ramps = []
    for side in filter(None, sides):
        road, link = layout.road(side.road_key), side.link
        spans = [link.middle, *(end.crossing for end in (link.low, link.high) if end)]
        for start, end in filter(None, spans):
            ramps.append(road.rectangle(
                start, end, side.sign * road.half_width,
                side.sign * (road.half_width + reach)))
    return ramps


def _bounds(layout: Layout, a: int, b: int) -> tuple:
    lo = [layout.extent[0], layout.extent[1]]
    hi = [layout.extent[2], layout.extent[3]]
    for axis, cell, roads in ((0, a, layout.along), (1, b, layout.across)):
        if cell > 0:
            lo[axis] = roads[cell - 1].centre + roads[cell - 1].half_width
        if cell < ROADS_PER_AXIS:
            hi[axis] = roads[cell].centre - roads[cell].half_width
    return (*lo, *hi)


def _block(rng: np.random.Generator, layout: Layout, a: int, b: int) -> Block:
    bounds, sides = _bounds(layout, a, b), _sides(layout, a, b)
    verge = float(rng.choice([0.0, rng.uniform(.9, 1.6)], p=[.6, .4]))
    walk = float(rng.uniform(2.0, 3.4))
    inset = verge + walk
    lots, driveways, lot_side = [], [], -1
    usable = {k: side for k, side in enumerate(sides) if side is not None}
    if rng.random() < .55:
        lot_side = int(rng.choice(list(usable)))
        size = (bounds[2] - bounds[0], bounds[3] - bounds[1])
        room = size[lot_side % 2] - 2 * inset - 8
        made = _lot(rng, layout, usable[lot_side], inset, min(room, 34))
        if made:
            lots.append(made[0])
            driveways.append(made[1])
        else:
            lot_side = -1
    bays: list[parking.CarPark] = []
    insets = [inset + .4] * 4
    for k, side in usable.items():
        if k == lot_side or rng.random() > .5:
            continue
        # Bays that would reach into the lot behind the corner stay away.
        fitting = [m for m in _kerbside_bays(rng, layout, side) if not any(
            m.polygon.distance(p.polygon) < inset + .5 for p in lots)]
        if fitting:
            bays += fitting
            lo, hi = fitting[0].polygon.bounds[k % 2], fitting[0].polygon.bounds[
                k % 2 + 2]
            insets[k] += hi - lo
    outline = box(*bounds)
    outline = outline.buffer(-layout.corner, join_style='mitre').buffer(
        layout.corner, quad_segs=6)
    base = outline.difference(
        shapely.union_all([p.polygon for p in bays])) if bays else outline
    kerb_line = base.buffer(-verge, join_style='mitre') if verge else base
    inner = base.buffer(-inset, join_style='mitre')
    cut = shapely.union_all(driveways + [p.polygon for p in lots])
    ramps = _ramps(layout, sides, inset - .5) if verge else []
    ring = shapely.union_all([kerb_line.difference(inner),
                              *[r.intersection(base) for r in ramps]])
    core = parking.core_rectangle(bounds, insets)
    use = str(rng.choice(['yard', 'grass'], p=[.7, .3]))
    block = Block(f'block{a}.{b}', outline, base.difference(cut), verge, [],
                  use, core, bays + lots, driveways)
    if use == 'yard':
        taken = [p.polygon for p in lots]
        block.footprints = _footprints(rng, core, taken, 40)
    elif not lots:
        axis = rng.integers(2)
        u0, v0, u1, v1 = inner.bounds
        at = .5 * ((v0 + v1) if axis == 0 else (u0 + u1)) + rng.uniform(-4, 4)
        path = (box(u0 - .5, at - 1.2, u1 + .5, at + 1.2) if axis == 0 else
                box(at - 1.2, v0 - .5, at + 1.2, v1 + .5))
        ring = ring.union(path.intersection(kerb_line))
    block.walkways = polygons_of(ring.difference(cut))
    return block


def random_blocks(rng: np.random.Generator, layout: Layout) -> list[Block]:
    """Fill every block of a plan, those outside its outer roads included."""
    assert BORDER > 40  # the outer blocks are large enough to fill
    count = ROADS_PER_AXIS + 1
    return [_block(rng, layout, a, b)
            for a in range(count) for b in range(count)]
