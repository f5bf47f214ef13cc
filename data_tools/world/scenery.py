"""Where the things that do not move stand."""

import numpy as np
import shapely
from shapely import LineString, Point

from data_tools.world import furniture, paint
from data_tools.world.blocks import Block
from data_tools.world.layout import Layout
from data_tools.world.solids import FIELDS, place
from data_tools.world.surfaces import KERB_HEIGHT
from data_tools.world.warp import Warp


class _Placer:
    def __init__(self, warp: Warp) -> None:
        self.warp = warp
        self.rows: list[np.ndarray] = []

    def add(self, model: np.ndarray, u: float, v: float, heading: float = 0.,
            z: float = KERB_HEIGHT) -> None:
        at = np.array([[u, v]])
        x, y = self.warp.points(at)[0]
        yaw = self.warp.headings(at, np.array([heading]))[0]
        self.rows.append(place(model, x, y, z, yaw))


def _buildings(rng: np.random.Generator, placer: _Placer, block: Block,
               tall: float) -> None:
    for u, v, du, dv in block.footprints:
        height = rng.uniform(5, 9) + rng.gamma(2., tall)
        # A little smaller than its plot: bends skew plots, not buildings.
        model = furniture.building(rng, du - .5, dv - .5, height)
        placer.add(model, u, v)


def _kerb_row(rng: np.random.Generator, placer: _Placer, block: Block, spacing: float,
              bustle: float) -> None:
    """Trees, lamp posts, signs along the kerb, clear of ways and bays."""
    line = block.outline.buffer(-.65).exterior
    busy = shapely.union_all([*block.driveways,
                              *[p.polygon for p in block.car_parks]])
    shapely.prepare(busy)
    lamps = rng.random() < .9
    turn = 0
    for s in np.arange(rng.uniform(2, 8), line.length, spacing):
        spot = line.interpolate(s + rng.uniform(-1, 1))
        turn += 1
        if busy.distance(spot) < 1.2:
            continue
        ahead = line.interpolate(s + .5)
        heading = np.arctan2(ahead.y - spot.y, ahead.x - spot.x)
        out = heading + (np.pi / 2 if line.is_ccw else -np.pi / 2) + np.pi
        if turn % 3 == 0 and lamps:
            placer.add(furniture.lamp_post(rng), spot.x, spot.y, out)
        elif block.verge > 0 and rng.random() < .8:
            placer.add(furniture.tree(rng), spot.x, spot.y)
        elif bustle > 1 and rng.random() < .2 * (bustle - 1):
            placer.add(furniture.sign(rng), spot.x, spot.y,
                       heading + np.pi * rng.integers(2))


def _greenery(rng: np.random.Generator, placer: _Placer, block: Block) -> None:
    taken = [shapely.box(u - du - 1, v - dv - 1, u + du + 1, v + dv + 1)
             for u, v, du, dv in block.footprints]
    taken += [p.polygon.buffer(1.0) for p in block.car_parks]
    taken += [w.buffer(.4) for w in block.walkways] + block.driveways
    busy = shapely.union_all(taken)
    shapely.prepare(busy)
    u0, v0, u1, v1 = block.core.bounds
    for _ in range(26 if block.use == 'grass' else 8):
        u, v = rng.uniform(u0, u1), rng.uniform(v0, v1)
        if not busy.contains(Point(u, v)):
            placer.add(furniture.tree(rng), u, v)
    for k in range(4):
        if rng.random() > .45:
            continue
        length = rng.uniform(6, 16)
        along_u = k % 2 == 0
        room = (u1 - u0 if along_u else v1 - v0) - length
        if room < 0:
            continue
        shift = rng.uniform(0, room)
        edge = (v0, u1, v1, u0)[k]
        start = (u0 + shift, edge) if along_u else (edge, v0 + shift)
        end = ((start[0] + length, edge) if along_u else
               (edge, start[1] + length))
        if busy.intersects(LineString([start, end])):
            continue
        model = (furniture.hedge if rng.random() < .6 else furniture.fence)(
            rng, length)
        placer.add(model, .5 * (start[0] + end[0]), .5 * (start[1] + end[1]),
                   0. if along_u else np.pi / 2)


def _enclose(rng: np.random.Generator, placer: _Placer, block: Block,
             share: float) -> None:
    """Fences, walls and hedges in a share of the gaps between buildings."""
    taken = [shapely.box(u - du, v - dv, u + du, v + dv)
             for u, v, du, dv in block.footprints]
    taken += [p.polygon.buffer(1.0) for p in block.car_parks]
    taken += block.walkways + block.driveways
    busy = shapely.union_all(taken)
    ring = np.array(block.core.buffer(-.6, join_style='mitre').exterior.coords)
    for a, b in zip(ring[:-1], ring[1:]):
        heading = float(np.arctan2(b[1] - a[1], b[0] - a[0]))
        for gap in shapely.get_parts(LineString((a, b)).difference(busy)):
            if gap.length < 2.5 or rng.random() > share:
                continue
            model = furniture.fence if rng.random() < .75 else furniture.hedge
            middle = gap.interpolate(.5, normalized=True)
            placer.add(model(rng, gap.length - .4), middle.x, middle.y,
                       heading)


def _signals(rng: np.random.Generator, placer: _Placer, layout: Layout) -> None:
    for link in layout.links:
        road = layout.road(link.road_key)
        for forward, approach in paint.approaches(link):
            sign = layout.side if forward else -layout.side
            at = approach.stop[1] if forward else approach.stop[0]
            u, v = road.point(at, sign * (road.half_width + .6))
            facing = road.heading(not forward)
            if approach.signals:
                placer.add(furniture.signal(rng), u, v, facing)
            elif rng.random() < .8:
                placer.add(furniture.sign(rng), u, v, facing)


def _skyline(rng: np.random.Generator, placer: _Placer, layout: Layout) -> None:
    """Large buildings around the plan, which close the horizon."""
    u0, v0, u1, v1 = layout.extent
    for (a, b), (c, d) in (((u0, v0), (u1, v0)), ((u1, v0), (u1, v1)),
                           ((u1, v1), (u0, v1)), ((u0, v1), (u0, v0))):
        length = float(np.hypot(c - a, d - b))
        along = np.array([c - a, d - b]) / length
        out = np.array([along[1], -along[0]])
        s = -20.
        while s < length + 20:
            half = rng.uniform(10, 22)
            spot = np.array([a, b]) + along * (s + half) + out * rng.uniform(
                22, 40)
            placer.add(furniture.building(rng, half, 9.,
                                          rng.uniform(8, 26)),
                       spot[0], spot[1], float(np.arctan2(along[1], along[0])))
            s += 2 * half + rng.uniform(2, 14)


def build_scenery(rng: np.random.Generator, layout: Layout,
                  blocks: list[Block], warp: Warp,
                  bustle: float = 1.) -> np.ndarray:
    """Solids (N, FIELDS) of buildings, plants, posts and signs.

    Args:
        rng: Source of randomness.
        layout, blocks, warp: The plan.
        bustle: Above 1, fences, walls and hedges close gaps between buildings,
            and signs stand along the kerb.
    """
    placer = _Placer(warp)
    tall = rng.uniform(1.5, 7)
    spacing = rng.uniform(7, 11)
    for block in blocks:
        _buildings(rng, placer, block, tall)
        _kerb_row(rng, placer, block, spacing, bustle)
        _greenery(rng, placer, block)
        if bustle > 1:
            _enclose(rng, placer, block, min(1., .3 * bustle))
    _signals(rng, placer, layout)
    _skyline(rng, placer, layout)
    return np.concatenate(placer.rows) if placer.rows else np.zeros(
        (0, FIELDS))
