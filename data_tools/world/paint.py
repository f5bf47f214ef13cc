"""Road paint in the layout plane: what is drawn where, and in which colour."""

import numpy as np
from shapely import Polygon

from data_tools.world.layout import Approach, Layout, Link, Road

WIDTH = 0.15  # of a line, metres; crossings and stop bars are wider


def _dashes(road: Road, span: tuple[float, float], d: float, mark: float,
            gap: float) -> list[Polygon]:
    starts = np.arange(span[0], span[1] - .5, mark + gap)
    return [road.rectangle(s, min(s + mark, span[1]), d - WIDTH / 2,
                           d + WIDTH / 2) for s in starts]


def _solid(road: Road, span: tuple[float, float], d: float,
           width: float = WIDTH) -> Polygon:
    return road.rectangle(*span, d - width / 2, d + width / 2)


def _divider(road: Road, span: tuple[float, float]) -> list[tuple[str, Polygon]]:
    if road.divider == 'dashed_white':
        return [('white_paint', p) for p in _dashes(road, span, 0., 2.5, 2.5)]
    if road.divider == 'solid_white':
        return [('white_paint', _solid(road, span, 0., .2))]
    name = road.divider.removeprefix('double_') + '_paint'
    return [(name, _solid(road, span, d)) for d in (-.15, .15)]


def crossing_paint(road: Road, span: tuple[float, float], style: str) -> list[Polygon]:
    """Stripes along the road ('zebra') or two lines across it ('lines')."""
    half = road.half_width - .25
    if style == 'lines':
        return [road.rectangle(s, s + .35, -half, half)
                for s in (span[0], span[1] - .35)]
    pitch = 1.15
    count = int(2 * half / pitch)
    first = -.5 * count * pitch + .25
    return [road.rectangle(*span, first + k * pitch, first + k * pitch + .62)
            for k in range(count)]


def stop_range(layout: Layout, road: Road, forward: bool) -> tuple[float, float]:
    """Lateral range (d_min, d_max) of the lanes of one direction."""
    sign = layout.side if forward else -layout.side
    edge = sign * road.lanes * road.lane_width
    return min(0., edge), max(0., edge)


def middle_stops(link: Link) -> list[tuple[bool, tuple, tuple]]:
    """Stops at a crossing between junctions: (forward, area, bar) each."""
    if link.middle is None or not link.middle_stops:
        return []
    lo, hi = link.middle[0] - 1.0, link.middle[1] + 1.0
    return [(True, (lo - 3.0, lo), (lo - .5, lo)),
            (False, (hi, hi + 3.0), (hi, hi + .5))]


def approaches(link: Link) -> list[tuple[bool, Approach]]:
    """The link's approaches with the direction that they stop."""
    return [(forward, approach) for forward, approach in
            ((False, link.low), (True, link.high)) if approach is not None]


def link_paint(layout: Layout, link: Link,
               zebra: bool) -> list[tuple[str, Polygon]]:
    """All paint of a link as (surface name, layout polygon), in draw order."""
    road = layout.road(link.road_key)
    marks: list[tuple[str, Polygon]] = []
    for span in link.paint_spans():
        marks += _divider(road, span)
        for sign in (-1, 1):
            for lane in range(1, road.lanes):
                d = sign * lane * road.lane_width
                marks += [('white_paint', p)
                          for p in _dashes(road, span, d, 3.0, 4.0)]
            if road.edge != 'none':
                d = sign * (road.half_width - .22)
                marks.append((f'{road.edge}_paint', _solid(road, span, d,
                                                           .11)))
    crossings = [(link.middle, True)] if link.middle else []
    stops = [(forward, bar) for forward, _, bar in middle_stops(link)]
    for forward, approach in approaches(link):
        stops.append((forward, approach.bar))
        if approach.crossing:
            crossings.append((approach.crossing, zebra))
    for forward, bar in stops:
        lo, hi = stop_range(layout, road, forward)
        marks.append(('white_paint', road.rectangle(
            bar[0], bar[1], lo + .1, hi - .1)))
    for span, striped in crossings:
        marks += [('white_paint', p) for p in crossing_paint(
            road, span, 'zebra' if striped else 'lines')]
    return marks
