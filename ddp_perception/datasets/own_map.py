"""A map of one's own: what its files are, and the masks that they give."""
from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely

from .geojson_map import read_geojson
from .map_rasterizer import MapRasterizer
from .raster_map import RasterMap, read_class_image
from .vector_map import VectorMap


class OwnMap(Protocol):
    """A map that is read."""

    @property
    def bounds(self) -> tuple[float, ...]:
        """Least x and y, greatest x and y in metres; all NaN where it is empty."""

    def masks(self, rasterizer: MapRasterizer, global_from_bev: np.ndarray
              ) -> np.ndarray:
        """Return (num_classes, X, Y) uint8, 1 where a class is."""


class PolygonMap:
    """Areas and lines.

    Args:
        vector_map: Of `read_geojson`.
    """

    def __init__(self, vector_map: VectorMap) -> None:
        self.vector_map = vector_map

    @property
    def bounds(self) -> tuple[float, ...]:
        """See `OwnMap`."""
        layers = list(self.vector_map.geometries.values())
        return tuple(shapely.total_bounds(np.concatenate(layers)).tolist())

    def masks(self, rasterizer: MapRasterizer, global_from_bev: np.ndarray
              ) -> np.ndarray:
        """Draw them by the rule of `MapRasterizer`."""
        return rasterizer(self.vector_map, global_from_bev)


@dataclass(frozen=True)
class MapSource:
    """Where a map lies; small enough to go along with every sample.

    Attributes:
        classes: Which classes there are.
        polygons: GeoJSON file, or empty.
        rasters: Otherwise one image per class, see `RasterMap`.
        resolution: Of these, metres per pixel.
        origin: Of these, least x and y.
        name: Of the map, for messages.
    """

    classes: tuple[str, ...]
    polygons: str = ''
    rasters: tuple[str, ...] = ()
    resolution: float = 0.
    origin: tuple[float, ...] = (0., 0.)
    name: str = ''

    @classmethod
    def of(cls, record: Mapping, root: str | Path, classes: tuple[str, ...],
           name: str = '') -> MapSource:
        """Return the source that a checked record of a list of frames describes."""
        if 'polygons' in record:
            return cls(classes, str(Path(root, record['polygons'])), name=name)
        return cls(classes, rasters=tuple(str(Path(root, record['rasters'][name]))
                                          for name in classes),
                   resolution=float(record['resolution']),
                   origin=tuple(map(float, record['origin'])), name=name)

    def load(self) -> OwnMap:
        """Return the map, read once per process unless its files change.

        A map that was read before worker processes fork is shared with them.

        Raises:
            FileNotFoundError, ValueError: see `read_geojson`, `read_class_image`
                and `RasterMap`.
        """
        paths = [Path(path) for path in (self.polygons, *self.rasters) if path]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f'map file {missing[0]} is missing; maps.{self.name} of the list of '
                'frames names it')
        return _read(self, tuple(path.stat().st_mtime_ns for path in paths))


@functools.lru_cache(maxsize=32)
def _read(source: MapSource, modified: tuple[int, ...]) -> OwnMap:
    """Read a map once; `modified` has a rewritten file read again."""
    if source.polygons:
        return PolygonMap(read_geojson(source.polygons, source.classes))
    return RasterMap({name: read_class_image(path) for name, path in zip(
        source.classes, source.rasters, strict=True)}, source.resolution,
        source.origin)
