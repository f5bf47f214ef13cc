"""The nuScenes map expansion as shapely geometries with a spatial index."""
from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from ddp_perception.checkpoints.file_sizes import require_bounded_file

from .map_classes import LINE_LAYERS, MAP_LAYERS
from .map_tables import MapTables

ALL_LAYERS = tuple(dict.fromkeys(
    layer for layers in MAP_LAYERS.values() for layer in layers))


class VectorMap:
    """The layers of one location, each with a search tree.

    Args:
        geometries: Per layer its shapely polygons or lines, in metres of the
            map's own frame (nuScenes: global x east, y north).
        line_layers: Layers that hold lines; every other one holds polygons.
    """

    def __init__(self, geometries: dict[str, list],
                 line_layers: Collection[str] = LINE_LAYERS) -> None:
        self.line_layers = line_layers
        self.geometries = {
            layer: np.array(items, dtype=object)
            for layer, items in geometries.items()}
        self._trees = {
            layer: shapely.STRtree(items)
            for layer, items in self.geometries.items()}

    @classmethod
    def from_records(cls, records: dict,
                     layers: Sequence[str] = ALL_LAYERS) -> VectorMap:
        """Build the map from the content of a map expansion file.

        Polygons that nuscenes-devkit skips (invalid ones outside
        drivable_area) are skipped here too, so that both draw the same mask;
        an invalid drivable polygon, at which the devkit stops, is repaired.

        Args:
            records: The parsed JSON, or `NuScenesMap.json_obj`.
            layers: Layers to keep.

        Raises:
            ValueError: see `MapTables`; or an outline meets itself so often that
                drawing it would take seconds. Names layer and record.
        """
        tables = MapTables(records, layers)
        geometries = {}
        for layer in layers:
            if layer in LINE_LAYERS:
                items = [_line(tables, *line) for line in tables.lines(layer)]
            elif layer == 'drivable_area':
                items = [_repaired(tables, name, _polygon(exterior, holes))
                         for name, exterior, holes in tables.polygons(layer)]
            else:
                items = [_polygon(exterior, holes)
                         for _, exterior, holes in tables.polygons(layer)]
                items = [item for item in items
                         if item is not None and item.is_valid]
            geometries[layer] = [item for item in items if item is not None]
        return cls(geometries)

    def near(self, layer: str, area: Polygon) -> np.ndarray:
        """Return the geometries of `layer` that meet `area`, in map order."""
        found = self._trees[layer].query(area, predicate='intersects')
        return self.geometries[layer][np.sort(found)]


def map_file(data_root: str | Path, location: str) -> Path:
    """Return the path of a location's map expansion file."""
    return Path(data_root) / 'maps' / 'expansion' / f'{location}.json'


def require_map_files(data_root: str | Path, locations: Iterable[str]) -> None:
    """Check that every location's map expansion lies under `data_root`.

    Raises:
        FileNotFoundError: names the missing files and where to get them.
    """
    files = [map_file(data_root, location)
             for location in sorted(set(locations))]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f'map expansion file missing: {", ".join(missing)}. Download the '
            '"Map expansion" pack (v1.3) from https://www.nuscenes.org/'
            f'nuscenes#download and unpack it into {Path(data_root) / "maps"},'
            ' so that maps/expansion/<location>.json exists')


def load_vector_map(data_root: str | Path, location: str) -> VectorMap:
    """Return the map of a location, read once per process.

    A map that was read before worker processes fork is shared with them.

    Args:
        data_root: nuScenes root.
        location: For example 'singapore-onenorth'.

    Raises:
        FileNotFoundError: the map expansion file is missing.
        ValueError: the file is not a map expansion of version 1.3 or later, or is
            too large; see `require_bounded_file`.
    """
    require_map_files(data_root, [location])
    path = map_file(data_root, location).resolve()
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _read(path: Path, modified: int) -> VectorMap:
    """Read a map once; `modified` has a rewritten file read again."""
    require_bounded_file(path)
    try:
        return VectorMap.from_records(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}: not a usable map expansion: {error}'
                         ) from error


def _line(tables: MapTables, name: str,
          points: list[tuple[float, float]]) -> shapely.LineString | None:
    if len(points) < 2:
        return None
    line = shapely.LineString(points)
    if not line.is_simple:
        tables.require_few_crossings(name, [shapely.get_coordinates(line)])
    return line


def _polygon(exterior: list[tuple[float, float]],
             holes: list[list[tuple[float, float]]]) -> shapely.Polygon | None:
    if len(exterior) < 3:
        return None
    return shapely.Polygon(exterior, [hole for hole in holes if len(hole) > 2])


def _repaired(tables: MapTables, name: str, polygon: shapely.Polygon | None) -> Any:
    if polygon is None or polygon.is_valid:
        return polygon
    tables.require_few_crossings(name, [
        shapely.get_coordinates(ring) for ring in shapely.get_rings(polygon)])
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(polygon)))
    # Without the lines that are left of spikes: they have no area.
    return shapely.MultiPolygon(
        [part for part in parts if part.geom_type == 'Polygon'])
