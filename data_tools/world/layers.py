"""Map layers of a plan in world metres: polygons, lines and their relations.

The layers and their relations are those of nuScenes' map expansion 1.3, which
every vector map of roads can be reduced to; nothing here knows its file
format. Records name one another by `key`, unique within a layer.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely import LineString, Polygon, box

from data_tools.world import paint
from data_tools.world.blocks import Block, polygons_of
from data_tools.world.lanes import LaneGraph
from data_tools.world.layout import ROADS_PER_AXIS, Layout, Link, Road
from data_tools.world.warp import Warp

if TYPE_CHECKING:
    from data_tools.world.parking import CarPark

# Many and of no area that is measured: chords may lie a few cm off the curve.
_COARSE = ('road_segment', 'road_block', 'lane', 'lane_connector')
LAYERS = ('drivable_area', 'road_segment', 'road_block', 'lane',
          'lane_connector', 'ped_crossing', 'walkway', 'stop_line',
          'carpark_area', 'road_divider', 'lane_divider', 'traffic_light')


@dataclass
class MapRecord:
    """One element of a layer.

    Attributes:
        key: Unique in its layer.
        geometry: World Polygon, list of Polygons (drivable_area) or
            LineString, metres.
        refs: Field name -> key(s) in the layer that the field is named after.
        attributes: Plain values.
    """

    key: str
    geometry: Any
    refs: dict = field(default_factory=dict)
    attributes: dict = field(default_factory=dict)


@dataclass
class MapLayers:
    """All layers of a region, and how its lanes connect.

    Attributes:
        layers: By layer name (`LAYERS`).
        connectivity: Lane or connector key -> {'incoming': keys, 'outgoing':
            keys}.
        centre_lines: Lane or connector key -> (N, 2) world points in the
            direction of travel.
    """

    layers: dict
    connectivity: dict
    centre_lines: dict

    def polygons(self, layer: str) -> list[Polygon]:
        """World polygons of a polygon layer."""
        found = []
        for record in self.layers[layer]:
            shape = record.geometry
            found += shape if isinstance(shape, list) else [shape]
        return found


class _Builder:
    def __init__(self, layout: Layout, blocks: list[Block], graph: LaneGraph,
                 warp: Warp) -> None:
        self.layout, self.blocks = layout, blocks
        self.graph, self.warp = graph, warp
        self.layers: dict[str, list[MapRecord]] = {name: [] for name in LAYERS}
        self.signals_by_link: dict[str, list[str]] = {}

    def add(self, layer: str, key: str, shape: Any,
            refs: dict | None = None, **attributes: Any) -> None:
        """Append a record; `shape` is in the layout plane."""
        if isinstance(shape, list):
            world: Any = [part for s in shape for part in self._bend(layer, s)]
        else:
            # A corner that only touches itself may cross after bending.
            world = max(self._bend(layer, shape),
                        key=lambda part: part.area)
        self.layers[layer].append(MapRecord(key, world, refs or {},
                                            attributes))

    def _bend(self, layer: str, shape: Any) -> list:
        """Valid world parts on a grid of 0.1 mm, which files can hold."""
        coarse = layer in _COARSE
        world = self.warp.geometry(shape, 6.0 if coarse else 3.0)
        world = world.simplify(.02 if coarse else .008)
        if world.geom_type == 'LineString':
            return [world]
        if not world.is_valid:
            world = shapely.make_valid(world)
        return polygons_of(shapely.set_precision(world, 1e-4))

    def drivable(self) -> None:
        area = box(*self.layout.extent).difference(
            shapely.union_all([b.outline for b in self.blocks]))
        ways = [d for b in self.blocks for d in b.driveways]
        parks = [p.polygon for b in self.blocks for p in b.car_parks]
        area = shapely.union_all([area, *ways]).difference(
            shapely.union_all(parks))
        self.add('drivable_area', 'drivable', polygons_of(area))

    def segments(self) -> None:
        for i in range(ROADS_PER_AXIS):
            for j in range(ROADS_PER_AXIS):
                self.add('road_segment', f'junction{i}.{j}',
                         self.layout.intersection(i, j), is_intersection=True)
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            half = road.half_width
            self.add('road_segment', link.key,
                     road.rectangle(link.start, link.end, -half, half),
                     is_intersection=False)
            for forward in (True, False):
                lo, hi = paint.stop_range(self.layout, road, forward)
                self.add('road_block', f'{link.key}.{forward}',
                         road.rectangle(link.start, link.end, lo, hi),
                         {'road_segment': link.key})

    def lanes(self) -> None:
        for lane in self.graph.lanes.values():
            road = self.layout.road(lane.link.road_key)
            d = self.layout.lane_offset(road, lane.forward, lane.index)
            half = .5 * lane.width
            edges = [LineString(road.point([lane.link.start, lane.link.end],
                                           [x, x]))
                     for x in (d - half, d + half)]
            if not lane.forward:
                edges = [e.reverse() for e in edges[::-1]]
            self.add('lane', lane.key,
                     road.rectangle(lane.link.start, lane.link.end, d - half,
                                    d + half),
                     left=np.asarray(self._bend('lane', edges[0])[0].coords),
                     right=np.asarray(self._bend('lane', edges[1])[0].coords),
                     left_type=self._edge_type(road, d - half, lane.forward),
                     right_type=self._edge_type(road, d + half, lane.forward))
        for connector in self.graph.connectors:
            width = self.graph.lanes[connector.source].width
            self.add('lane_connector', connector.key,
                     LineString(connector.line[::4] if connector.turn else
                                connector.line[[0, -1]]).buffer(
                         .5 * width, cap_style='flat', join_style='mitre'))

    @staticmethod
    def _edge_type(road: Road, d: float, forward: bool) -> str:
        if abs(d) < .1:
            return {'double_yellow': 'DOUBLE_SOLID_YELLOW',
                    'double_white': 'DOUBLE_SOLID_WHITE',
                    'solid_white': 'SINGLE_SOLID_WHITE',
                    'dashed_white': 'DOUBLE_DASHED_WHITE'}[road.divider]
        if abs(d) > (road.lanes - .5) * road.lane_width:
            return 'NIL'
        return 'SINGLE_DASHED_WHITE'

    def dividers(self) -> None:
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            for n, span in enumerate(link.paint_spans()):
                self.add('road_divider', f'{link.key}.{n}',
                         LineString(road.point(span, [0, 0])),
                         {'road_segment': link.key})
                for sign in (-1, 1):
                    for lane in range(1, road.lanes):
                        d = sign * lane * road.lane_width
                        self.add('lane_divider',
                                 f'{link.key}.{n}.{sign * lane}',
                                 LineString(road.point(span, [d, d])),
                                 segment_type='SINGLE_DASHED_WHITE')

    def crossings_and_stops(self) -> None:
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            half = road.half_width
            stops: list[tuple[bool, Any, str | None, bool]] = []
            if link.middle:
                key = f'{link.key}.mid'
                self.add('ped_crossing', key,
                         road.rectangle(*link.middle, -half, half),
                         {'road_segment': link.key})
                stops += [(forward, area, key, False) for forward, area, _
                          in paint.middle_stops(link)]
            for forward, approach in paint.approaches(link):
                name = None
                if approach.crossing:
                    name = f'{link.key}.{"high" if forward else "low"}'
                    self.add('ped_crossing', name,
                             road.rectangle(*approach.crossing, -half, half),
                             {'road_segment': link.key})
                stops.append((forward, approach.stop, name, approach.signals))
            for n, (forward, area, crossing, signals) in enumerate(stops):
                self._stop(link, road, n, forward, area, crossing, signals)

    def _stop(self, link: Link, road: Road, n: int, forward: bool,
              area: Sequence[float], crossing: str | None,
              signals: bool) -> None:
        lo, hi = paint.stop_range(self.layout, road, forward)
        refs: dict[str, Any] = {'road_block': f'{link.key}.{forward}'}
        kind = 'STOP_SIGN'
        if signals:
            kind, at = 'TRAFFIC_LIGHT', area[1] if forward else area[0]
            sign = self.layout.side if forward else -self.layout.side
            d = sign * (road.half_width + .6)
            key = f'{link.key}.{n}'
            self.add('traffic_light', key,
                     LineString(road.point([at, at], [d - .2, d + .2])),
                     {'from_road_block': refs['road_block']})
            refs['traffic_lights'] = [key]
        elif crossing is not None:
            kind = 'PED_CROSSING'
        refs['ped_crossings'] = [crossing] if (
            kind == 'PED_CROSSING') else []
        self.add('stop_line', f'{link.key}.{n}',
                 road.rectangle(area[0], area[1], lo, hi), refs, stop_line_type=kind)

    def paved(self) -> None:
        for block in self.blocks:
            for n, shape in enumerate(block.walkways):
                self.add('walkway', f'{block.key}.{n}', shape)
            for n, park in enumerate(block.car_parks):
                heading = self.warp.headings(
                    np.array([park.polygon.centroid.coords[0]]),
                    np.array([park.heading]))
                self.add('carpark_area', f'{block.key}.{n}', park.polygon,
                         {'road_block': self._road_block(park)},
                         orientation=float(heading[0]))

    def _road_block(self, park: CarPark) -> str:
        """The half road whose link runs past a car park."""
        road = self.layout.road(park.road_key)
        centre = park.polygon.centroid
        s, across = ((centre.x, centre.y) if road.axis == 0 else
                     (centre.y, centre.x))
        right = (across - road.centre) * (1 if road.axis == 1 else -1) > 0
        forward = right == (self.layout.side > 0)
        links = [k for k in self.layout.links if k.road_key == park.road_key]
        nearest = min(links, key=lambda k: max(k.start - s, s - k.end, 0))
        return f'{nearest.key}.{forward}'

    def connectivity(self) -> tuple[dict, dict]:
        ways: dict[str, dict[str, list[str]]] = {key: {'incoming': [], 'outgoing': []}
                for key in self.graph.lanes}
        lines = {}
        for lane in self.graph.lanes.values():
            lines[lane.key] = np.asarray(
                self.warp.geometry(LineString(lane.line), 5.0).coords)
        for c in self.graph.connectors:
            ways[c.key] = {'incoming': [c.source], 'outgoing': [c.target]}
            ways[c.source]['outgoing'].append(c.key)
            ways[c.target]['incoming'].append(c.key)
            line = c.line[::4] if c.turn else c.line[[0, -1]]
            lines[c.key] = np.asarray(
                self.warp.geometry(LineString(line), 5.0).coords)
        return ways, lines


def build_layers(layout: Layout, blocks: list[Block], graph: LaneGraph,
                 warp: Warp) -> MapLayers:
    """Map layers of a plan, bent into the world by `warp`."""
    builder = _Builder(layout, blocks, graph, warp)
    builder.drivable()
    builder.segments()
    builder.lanes()
    builder.dividers()
    builder.crossings_and_stops()
    builder.paved()
    return MapLayers(builder.layers, *builder.connectivity())
