"""The road plan: which roads there are, how wide, and what crosses them.

Everything here lives in the layout plane (u, v) in metres, where roads run
parallel to the axes; `data_tools.world.warp` bends it into the world. A point
of a road is written (s, d): s along the road, d to the right of its positive
direction.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from shapely import Polygon


@dataclass(frozen=True)
class Road:
    """A road that runs through the whole plan.

    Attributes:
        axis: 0 runs along +u, 1 along +v.
        centre: The other coordinate of its centre line, metres.
        lanes: Lanes per direction.
        lane_width: Metres.
        margin: Asphalt between the outer lane and the kerb, metres.
        divider: Paint between the directions: 'double_yellow', 'double_white',
            'solid_white' or 'dashed_white'.
        edge: Paint along the kerb: 'none', 'white' or 'yellow'.
    """

    axis: int
    centre: float
    lanes: int
    lane_width: float
    margin: float
    divider: str
    edge: str

    @property
    def half_width(self) -> float:
        """From the centre line to the kerb, metres."""
        return self.lanes * self.lane_width + self.margin

    def point(self, s: float | Sequence[float] | np.ndarray,
              d: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """Layout (..., 2) of road coordinates (s, d)."""
        s, d = np.broadcast_arrays(np.asarray(s, float), np.asarray(d, float))
        if self.axis == 1:
            return np.stack((self.centre + d, s), -1)
        return np.stack((s, self.centre - d), -1)

    def heading(self, forward: bool = True) -> float:
        """Layout heading of its positive (or negative) direction."""
        base = np.pi / 2 if self.axis == 1 else 0.0
        return base if forward else base + np.pi

    def rectangle(self, s0: float, s1: float, d0: float, d1: float) -> Polygon:
        """Layout rectangle s0..s1 along and d0..d1 across the road."""
        return Polygon(self.point([s0, s1, s1, s0], [d0, d0, d1, d1]))


@dataclass(frozen=True)
class Approach:
    """One end of a link, where it meets an intersection.

    Attributes:
        crossing: s range of a pedestrian crossing.
        stop: s range of the area where vehicles stop; its bar is painted along
            the end nearer the intersection.
        bar: s range of the painted bar.
        paint_limit: s at which the lane paint ends.
        signals: Traffic lights stand here.
    """

    crossing: tuple[float, float] | None
    stop: tuple[float, float]
    bar: tuple[float, float]
    paint_limit: float
    signals: bool


@dataclass(frozen=True)
class Link:
    """A stretch of road between two intersections (or the plan's border)."""

    road_key: tuple[int, int]  # (axis, index)
    index: int                 # 0 lies before the first intersection
    start: float               # s at the edge of the intersection before it
    end: float
    low: Approach | None       # None at the border
    high: Approach | None
    middle: tuple[float, float] | None  # crossing between the ends
    middle_stops: bool

    @property
    def key(self) -> str:
        """Unique in the layout."""
        return f'link{self.road_key[0]}.{self.road_key[1]}.{self.index}'

    def paint_spans(self) -> list[tuple[float, float]]:
        """S ranges that carry lane paint, in order."""
        lo = self.low.paint_limit if self.low else self.start
        hi = self.high.paint_limit if self.high else self.end
        if self.middle is None:
            return [(lo, hi)]
        gap = 3.0 if self.middle_stops else 1.0
        return [(lo, self.middle[0] - gap), (self.middle[1] + gap, hi)]


@dataclass
class Layout:
    """The plan of one region.

    Attributes:
        side: +1 where traffic keeps right, -1 where it keeps left.
        extent: u_min, v_min, u_max, v_max in metres.
        across: Roads along u, by v.
        along: Roads along v, by u.
        corner: Radius of the kerb at intersections, metres.
        links: Links of all roads.
    """

    side: int
    extent: tuple[float, float, float, float]
    across: list[Road]
    along: list[Road]
    corner: float
    links: list[Link] = field(default_factory=list)

    def road(self, key: tuple[int, int]) -> Road:
        """The road of a (axis, index) key."""
        return (self.across, self.along)[key[0]][key[1]]

    def intersection(self, i: int, j: int) -> Polygon:
        """Layout box where road `along[i]` meets `across[j]`."""
        a, c = self.along[i], self.across[j]
        reach_u = a.half_width + self.corner
        reach_v = c.half_width + self.corner
        return Polygon([(a.centre - reach_u, c.centre - reach_v),
                        (a.centre + reach_u, c.centre - reach_v),
                        (a.centre + reach_u, c.centre + reach_v),
                        (a.centre - reach_u, c.centre + reach_v)])

    def lane_offset(self, road: Road, forward: bool, lane: int) -> float:
        """Lateral position d of a lane's centre; lane 0 is the innermost."""
        sign = self.side if forward else -self.side
        return sign * (lane + 0.5) * road.lane_width


ROADS_PER_AXIS = 5
BORDER = 58.0


def _roads(rng: np.random.Generator, axis: int, style: str,
           residential: bool) -> list[Road]:
    lanes = rng.choice([1, 2, 3], ROADS_PER_AXIS, p=[.45, .43, .12])
    if residential:
        lanes[:] = 1
    positions, here = [], 0.0
    for _ in range(ROADS_PER_AXIS):
        positions.append(here)
        here += rng.uniform(*((90, 120) if residential else (66, 88)))
    positions = np.array(positions) - np.mean(positions)
    dividers = (['double_yellow', 'double_yellow', 'dashed_white']
                if style == 'america' else
                ['double_white', 'solid_white', 'dashed_white'])
    edges = (['none', 'none', 'white'] if style == 'america' else
             ['none', 'yellow', 'white'])
    width = (2.8, 3.1) if residential else (3.1, 3.6)
    margin = (2.6, 2.9) if residential else (.3, .8)  # room to park
    return [Road(axis, float(p), int(n), float(rng.uniform(*width)),
                 float(rng.uniform(*margin)), str(rng.choice(dividers)),
                 str(rng.choice(edges)))
            for p, n in zip(positions, lanes, strict=True)]


def _approach(rng: np.random.Generator, edge: float, inward: int,
              signals: bool) -> Approach:
    """Approach at s = `edge`; `inward` (+1/-1) points away from the junction."""
    at = edge + inward * rng.uniform(.2, 1.0)
    crossing = None
    if rng.random() < .72:
        far = at + inward * rng.uniform(3.0, 4.2)
        crossing = (min(at, far), max(at, far))
        at = far + inward * rng.uniform(.9, 1.4)
    bar_end = at + inward * 0.5
    area_end = at + inward * 3.0
    return Approach(crossing, (min(at, area_end), max(at, area_end)),
                    (min(at, bar_end), max(at, bar_end)), at, signals)


def random_layout(rng: np.random.Generator, side: int,
                  residential: bool = False) -> Layout:
    """Draw a plan of five by five roads.

    Args:
        rng: Source of randomness.
        side: +1 keeps right (Boston), -1 keeps left (Singapore).
        residential: One lane each way, with room to park at the kerb.
    """
    style = 'america' if side > 0 else 'asia'
    across, along = (_roads(rng, axis, style, residential)
                     for axis in (0, 1))
    extent = (along[0].centre - BORDER, across[0].centre - BORDER,
              along[-1].centre + BORDER, across[-1].centre + BORDER)
    layout = Layout(side, extent, across, along, float(rng.uniform(4, 7)))
    signalled = rng.random((ROADS_PER_AXIS, ROADS_PER_AXIS)) < .6
    for axis in (0, 1):
        others = along if axis == 0 else across
        low_border, high_border = extent[axis], extent[axis + 2]
        for r in range(ROADS_PER_AXIS):
            for k in range(ROADS_PER_AXIS + 1):
                low = high = None
                start, end = low_border, high_border
                if k > 0:
                    before = others[k - 1]
                    start = before.centre + before.half_width + layout.corner
                    cell = (k - 1, r) if axis == 0 else (r, k - 1)
                    low = _approach(rng, start, 1, bool(signalled[cell]))
                if k < ROADS_PER_AXIS:
                    after = others[k]
                    end = after.centre - after.half_width - layout.corner
                    cell = (k, r) if axis == 0 else (r, k)
                    high = _approach(rng, end, -1, bool(signalled[cell]))
                middle, stops = None, False
                if low and high and end - start > 40 and rng.random() < .3:
                    at = .5 * (start + end) + rng.uniform(-3, 3)
                    middle, stops = (at - 1.7, at + 1.7), rng.random() < .6
                layout.links.append(Link((axis, r), k, start, end, low, high,
                                         middle, bool(stops)))
    return layout
