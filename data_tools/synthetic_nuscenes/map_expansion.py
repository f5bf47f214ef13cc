"""Map layers as the JSON of nuScenes' map expansion, version 1.3."""
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_tools.synthetic_nuscenes.tokens import token, tokens
from data_tools.world.layers import LAYERS, MapLayers, MapRecord

if TYPE_CHECKING:
    from shapely.geometry import Polygon

VERSION = '1.3'
_LINES = ('road_divider', 'lane_divider', 'traffic_light')
# Reference of a record -> the field it is written to, and the layer it names.
_REFS = {'road_segment': ('road_segment_token', 'road_segment'),
         'road_block': ('road_block_token', 'road_block'),
         'from_road_block': ('from_road_block_token', 'road_block'),
         'ped_crossings': ('ped_crossing_tokens', 'ped_crossing'),
         'traffic_lights': ('traffic_light_tokens', 'traffic_light')}


class MapExpansion:
    """Collects regions of one location, then writes its file.

    Args:
        location: Name of the map.
        edge: Width, height of the canvas, metres.
    """

    def __init__(self, location: str, edge: tuple[float, float]) -> None:
        self.location = location
        names = ('node', 'line', 'polygon', *LAYERS)
        self.json: dict = {'version': VERSION, 'canvas_edge': list(edge),
                           **{name: [] for name in names},
                           'arcline_path_3': {}, 'connectivity': {}}

    def _nodes(self, coords: np.ndarray, key: str) -> list[str]:
        points = np.round(np.asarray(coords, float)[:, :2], 4).tolist()
        names = tokens(len(points), self.location, 'node', key)
        self.json['node'] += [{'token': name, 'x': x, 'y': y} for name, (x, y)
                              in zip(names, points, strict=True)]
        return names

    def _line(self, coords: np.ndarray, key: str) -> str:
        name = token(self.location, 'line', key)
        self.json['line'].append({'token': name,
                                  'node_tokens': self._nodes(coords, key)})
        return name

    def _polygon(self, shape: Polygon, key: str) -> str:
        name = token(self.location, 'polygon', key)
        rings = [self._nodes(ring.coords[:-1], f'{key}|{n}') for n, ring in
                 enumerate((shape.exterior, *shape.interiors))]
        self.json['polygon'].append({
            'token': name, 'exterior_node_tokens': rings[0],
            'holes': [{'node_tokens': ring} for ring in rings[1:]]})
        return name

    def _layer_token(self, layer: str, region: str, key: str) -> str:
        return token(self.location, layer, region, key)

    def _edges(self, out: dict, coords: np.ndarray, full: str) -> None:
        """Lines at the entry and exit of a four-cornered road element."""
        half = len(coords) // 2
        out['from_edge_line_token'] = self._line(coords[[0, -1]],
                                                 f'{full}|from')
        out['to_edge_line_token'] = self._line(coords[[half - 1, half]],
                                               f'{full}|to')

    def add_region(self, region: str, layers: MapLayers) -> None:
        """Add all layers of a region; `region` keeps its tokens apart."""
        for layer in LAYERS:
            for record in layers.layers[layer]:
                self._add(layer, region, record)
        kinds = {r.key: name for name in ('lane', 'lane_connector')
                 for r in layers.layers[name]}
        names = {key: self._layer_token(kind, region, key)
                 for key, kind in kinds.items()}
        for key, ways in layers.connectivity.items():
            self.json['connectivity'][names[key]] = {
                side: [names[k] for k in keys] for side, keys in ways.items()}
        for key, line in layers.centre_lines.items():
            self.json['arcline_path_3'][names[key]] = _arclines(line)

    def _add(self, layer: str, region: str, record: MapRecord) -> None:
        full = f'{region}|{layer}|{record.key}'
        out: dict = {'token': self._layer_token(layer, region, record.key)}
        shape = record.geometry
        if layer == 'drivable_area':
            out['polygon_tokens'] = [self._polygon(part, f'{full}|{n}')
                                     for n, part in enumerate(shape)]
        elif layer in _LINES:
            out['line_token'] = self._line(shape.coords, full)
        else:
            out['polygon_token'] = self._polygon(shape, full)
        for ref, keys in record.refs.items():
            field, target = _REFS[ref]
            many = isinstance(keys, list)
            named = [self._layer_token(target, region, key)
                     for key in (keys if many else [keys])]
            out[field] = named if many else named[0]
        self._details(layer, out, record, full)
        self.json[layer].append(out)

    def _details(self, layer: str, out: dict, record: MapRecord, full: str) -> None:
        values = record.attributes
        if layer == 'road_segment':
            out['is_intersection'] = values['is_intersection']
            out['drivable_area_token'] = ''
        elif layer == 'road_block':
            self._edges(out, np.asarray(record.geometry.exterior.coords[:-1]),
                        full)
        elif layer == 'lane':
            out['lane_type'] = 'CAR'
            self._edges(out, np.asarray(record.geometry.exterior.coords[:-1]),
                        full)
            for side in ('left', 'right'):
                nodes = self._nodes(values[side], f'{full}|{side}')
                out[f'{side}_lane_divider_segments'] = [
                    {'node_token': n, 'segment_type': values[f'{side}_type']}
                    for n in nodes]
        elif layer == 'lane_divider':
            nodes = self.json['line'][-1]['node_tokens']
            out['lane_divider_segments'] = [
                {'node_token': n, 'segment_type': values['segment_type']}
                for n in nodes]
        elif layer == 'stop_line':
            out['stop_line_type'] = values['stop_line_type']
            out.setdefault('ped_crossing_tokens', [])
            out.setdefault('traffic_light_tokens', [])
        elif layer == 'carpark_area':
            out['orientation'] = values['orientation']
        elif layer == 'traffic_light':
            (x, y), (x2, y2) = record.geometry.coords
            out.update(traffic_light_type='VERTICAL', items=[
                {'color': colour, 'shape': 'CIRCLE',
                 'rel_pos': {'tx': 0., 'ty': 0., 'tz': tz, 'rx': 0., 'ry': 0.,
                             'rz': 0.}, 'to_road_block_tokens': []}
                for colour, tz in (('RED', .3), ('YELLOW', 0.),
                                   ('GREEN', -.3))],
                pose={'tx': round(.5 * (x + x2), 4),
                      'ty': round(.5 * (y + y2), 4), 'tz': 3.0, 'rx': 0.,
                      'ry': 0., 'rz': float(np.arctan2(x - x2, y2 - y))})

    def write(self, root: Path) -> Path:
        """Write `maps/expansion/<location>.json` under `root`."""
        path = root / 'maps' / 'expansion' / f'{self.location}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.json, separators=(',', ':')))
        return path


def _arclines(line: np.ndarray) -> list[dict]:
    """A polyline as straight pieces in the map's arc-line form."""
    pieces = []
    for a, b in zip(line[:-1], line[1:], strict=True):
        length = float(np.hypot(*(b - a)))
        if length < 1e-3:
            continue
        yaw = float(np.arctan2(b[1] - a[1], b[0] - a[0]))
        pieces.append({
            'start_pose': [round(v, 4) for v in (*a.tolist(), yaw)],
            'end_pose': [round(v, 4) for v in (*b.tolist(), yaw)],
            'shape': 'LSR', 'radius': 999.999,
            'segment_length': [0., round(length, 4), 0.]})
    return pieces
