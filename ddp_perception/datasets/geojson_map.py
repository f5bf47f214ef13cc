"""Vector maps of any classes, in GeoJSON files."""
from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

from ddp_perception.checkpoints.file_sizes import require_bounded_file

from .crossings import count_crossings
from .map_tables import MOST_CROSSINGS
from .record_checks import Records, check_fields, shown
from .value_kinds import FARTHEST, Text
from .vector_map import VectorMap

AREAS, LINES = 'areas:', 'lines:'
_KINDS = {'Polygon': AREAS, 'MultiPolygon': AREAS, 'LineString': LINES,
          'MultiLineString': LINES}


def class_layers(classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the layers of a map of `read_geojson` that make up each class."""
    return {name: (AREAS + name, LINES + name) for name in classes}


def read_geojson(path: str | Path, classes: Collection[str]) -> VectorMap:
    """Read a map of areas and lines.

    Coordinates are metres in the frame of the poses, not degrees; a third one is
    left out of account. Every feature names its class as the property `class`. A
    class without features is nowhere.

    Args:
        path: A FeatureCollection of polygons and lines, single or multiple.
        classes: Which there are.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such collection, or a feature has an unknown class or
            kind, coordinates that are no numbers within `FARTHEST`, or an outline
            that crosses itself; names file and feature.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'map file {path} is missing')
    require_bounded_file(path)
    try:
        return _map_of(json.loads(path.read_bytes()), classes)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path}: {error}') from None


def _map_of(content: Any, classes: Collection[str]) -> VectorMap:
    if not isinstance(content, dict) or content.get('type') != 'FeatureCollection' or (
            not isinstance(content.get('features'), list)):
        raise ValueError('a map must be a GeoJSON FeatureCollection with a list of '
                         f'features, got {shown(content)}')
    features = Records(content['features'], lambda index: f'features[{index}]')
    check_fields(features, {'properties': {'class': Text()}, 'geometry': {
        'type': Text()}}, ('properties', 'properties.class', 'geometry',
                           'geometry.type'))
    layers: dict[str, list] = {}
    for name in classes:
        layers[AREAS + name], layers[LINES + name] = [], []
    for index, feature in enumerate(features.items):
        name = feature['properties']['class']
        if name not in classes:
            raise ValueError(f'{features.name(index)}.properties.class must be one of '
                             f'{", ".join(classes)}, got {shown(name)}')
        kind, geometry = _geometry(f'{features.name(index)}.geometry',
                                   feature['geometry'])
        layers[kind + name].append(geometry)
    return VectorMap(layers, {layer for layer in layers if layer.startswith(LINES)})


def _geometry(name: str, record: Mapping[str, Any]) -> tuple[str, shapely.Geometry]:
    """Return whether a feature's geometry is area or line, and it in the plane."""
    kind = _KINDS.get(record['type'])
    if kind is None:
        raise ValueError(f'{name}.type must be one of {", ".join(_KINDS)}, got '
                         f'{shown(record["type"])}')
    try:
        geometry = shapely.force_2d(shape(record))
    except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, IndexError,
            AttributeError) as error:
        raise ValueError(f'{name}.coordinates are not those of a {record["type"]}: '
                         f'{" ".join(str(error).split())}') from None
    points = shapely.get_coordinates(geometry)
    if not len(points) or not (np.abs(points) <= FARTHEST).all():
        raise ValueError(f'{name}.coordinates must be finite numbers of metres, at '
                         f'most {FARTHEST:g}, and at least one')
    if kind == AREAS and not shapely.is_valid(geometry):
        raise ValueError(f'{name}: the outline is no valid polygon '
                         f'({shapely.is_valid_reason(geometry)}); '
                         'shapely.make_valid repairs such')
    if kind == LINES and not shapely.is_simple(geometry) and count_crossings(
            [shapely.get_coordinates(part) for part in shapely.get_parts(geometry)],
            MOST_CROSSINGS) > MOST_CROSSINGS:
        raise ValueError(f'{name}: the line crosses or touches itself at more than '
                         f'{MOST_CROSSINGS} places')
    return kind, geometry
