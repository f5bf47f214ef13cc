"""Rasterise a vector map for a pose: the ground truth of map segmentation."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import shapely
from shapely import affinity

from ddp_perception.ops import Axis

from .map_classes import MAP_CLASSES, MAP_LAYERS, check_map_classes

if TYPE_CHECKING:
    from ddp_perception.datasets.vector_map import VectorMap

_LINE_WIDTH = 2  # pixels, as nuscenes-devkit draws dividers
_SCALE_TOLERANCE = 1e-5  # 0.5 mm at 50 m


class MapRasterizer:
    """Draw the masks of a BEV grid placed anywhere on a map.

    Cell (i, j) spans [i, i + 1) steps from the least x and [j, j + 1) from
    the least y. The cell rule is the devkit's: vertices are rounded to whole
    cells and the outline belongs to the area, so areas reach up to a cell
    beyond their border; dividers are two cells wide. Each class is drawn in
    the grid's own frame, mirrored or not, so this rule holds alike under every
    augmentation. Where the grid is neither scaled nor mirrored
    the masks equal nuscenes-devkit's `get_map_mask` bit by bit, except where
    that fails (a divider clipped into several parts, an invalid drivable
    polygon) or lets a hole erase another polygon of its layer.

    Args:
        xbound: [min, max, step] along x in metres.
        ybound: (min, max, step) along y.
        classes: In the order of the masks.
        layers: The layers of a map that make up each class; classes are out of
            these.

    Raises:
        ValueError: a class is unknown or a bound is not a whole number of
            steps.

    Source: nuscenes-devkit 1.2.0 `NuScenesMapExplorer.get_map_mask` (cell
    rule); MIT BEVFusion, arXiv:2205.13542 (classes, patch). Departs from the
    latter: its patch ignores the scale of the augmentation
    (mit-han-lab/bevfusion #439).
    """

    def __init__(self, xbound: Sequence[float], ybound: Sequence[float],
                 classes: Sequence[str] = MAP_CLASSES,
                 layers: Mapping[str, Sequence[str]] = MAP_LAYERS) -> None:
        self.classes = check_map_classes(classes, layers)
        self.layers = layers
        self.bounds = tuple(xbound), tuple(ybound)
        self.shape = (Axis.of(xbound, 'xbound').cells, Axis.of(ybound, 'ybound').cells)
        self.centre = np.array([(xbound[0] + xbound[1]) / 2,
                                (ybound[0] + ybound[1]) / 2, 0., 1.])
        self.size = (xbound[1] - xbound[0], ybound[1] - ybound[0])

    def __call__(self, vector_map: VectorMap,
                 global_from_bev: np.ndarray) -> np.ndarray:
        """Draw every class.

        Args:
            vector_map: The map of the location.
            global_from_bev: (4, 4), a similarity: rotation, translation,
                uniform scale and reflections. Only its effect on the ground
                plane counts; the heading is that of its x axis, as in the
                protocol.

        Returns:
            (num_classes, X, Y) uint8, 1 inside. Index 1 grows with the grid's
            x, index 2 with its y.

        Raises:
            ValueError: the matrix is not a similarity.
        """
        patch = _Patch(global_from_bev, self.centre, self.size, self.shape)
        masks = np.zeros((len(self.classes), *self.shape[::-1]), np.uint8)
        for mask, name in zip(masks, self.classes, strict=True):
            for layer in self.layers[name]:
                found = patch.clip(vector_map.near(layer, patch.area))
                if layer in vector_map.line_layers:
                    _draw_lines(mask, found)
                else:
                    _draw_polygons(mask, found)
        return np.ascontiguousarray(masks.transpose(0, 2, 1))


class _Patch:
    """The grid's rectangle on the map, and the way from there to pixels.

    The steps and their order are the devkit's, because it truncates line
    ends at the border to whole pixels, where the last bit decides.
    """

    def __init__(self, global_from_bev: np.ndarray, centre: np.ndarray,
                 size: Sequence[float], shape: tuple[int, ...]) -> None:
        scale, self.angle, self.mirrored = planar_similarity(global_from_bev)
        self.origin = (np.asarray(global_from_bev, float) @ centre)[:2]
        width, height = size[0] * scale, size[1] * scale
        x, y = self.origin
        self.area = affinity.rotate(
            shapely.box(x - width / 2, y - height / 2,
                        x + width / 2, y + height / 2),
            self.angle, origin=(x, y))
        self._local_box = shapely.box(-width / 2, -height / 2,
                                      width / 2, height / 2)
        self._half = (width / 2, height / 2)
        self._pixels_per_metre = (shape[0] / width, shape[1] / height)

    def clip(self, geometries: np.ndarray) -> np.ndarray:
        """Return what lies on the patch, in pixels: x right, y up."""
        if not len(geometries):
            return geometries
        pieces = shapely.intersection(geometries, self.area)
        pieces = shapely.transform(pieces, self._local)
        pieces = shapely.intersection(pieces, self._local_box)
        return shapely.transform(pieces, self._pixels)

    def _local(self, points: np.ndarray) -> np.ndarray:
        radians = -self.angle * math.pi / 180.0
        cos, sin = math.cos(radians), math.sin(radians)
        x0, y0 = self.origin
        x, y = points.T
        local_x = cos * x + -sin * y + (x0 - x0 * cos + y0 * sin)
        local_y = sin * x + cos * y + (y0 - x0 * sin - y0 * cos)
        local_x, local_y = local_x + -x0, local_y + -y0
        return np.stack([local_x, -local_y if self.mirrored else local_y], 1)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        return (points + self._half) * self._pixels_per_metre


def planar_similarity(matrix: np.ndarray) -> tuple:
    """Split a similarity into what it does to the ground plane.

    Args:
        matrix: (4, 4).

    Returns:
        scale (1 where it differs from 1 by less than 1e-5), heading of the x
        axis in degrees, and whether the plane is mirrored: then the y axis
        points to the right of the x axis.

    Raises:
        ValueError: wrong shape, not finite, or axes of unequal length or not
            perpendicular (by more than 1e-3).
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError('expected a finite matrix of shape (4, 4), got shape '
                         f'{matrix.shape}:\n{matrix}')
    linear = matrix[:3, :3]
    scale = abs(np.linalg.det(linear)) ** (1 / 3)
    gram = linear.T @ linear
    if scale == 0 or not np.allclose(gram, scale ** 2 * np.eye(3),
                                     rtol=0, atol=1e-3 * scale ** 2):
        raise ValueError('expected rotation, translation, uniform scale and '
                         f'reflections only, got\n{matrix}')
    if abs(scale - 1) < _SCALE_TOLERANCE:
        scale = 1.0
    heading = math.atan2(linear[1, 0], linear[0, 0]) / math.pi * 180
    return scale, heading, np.linalg.det(linear[:2, :2]) < 0


_LINE, _POLYGON = 1, 3  # GEOS type numbers


def _parts(geometries: np.ndarray, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the simple parts of one kind and the geometry each came from."""
    parts, owner = shapely.get_parts(geometries, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # collections
    keep = (shapely.get_type_id(parts) == kind) & ~shapely.is_empty(parts)
    return parts[keep], owner[inner][keep]


def _coordinates(geometries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of all geometries, and where to split them."""
    points, owner = shapely.get_coordinates(geometries, return_index=True)
    return points, np.flatnonzero(np.diff(owner)) + 1


def _draw_polygons(mask: np.ndarray, geometries: np.ndarray) -> None:
    """Fill each polygon of the map with one call, its holes kept open."""
    parts, owner = _parts(geometries, _POLYGON)
    if not len(parts):  # they only touch the patch
        return
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ends = _coordinates(rings)
    contours = np.split(points.round().astype(np.int32), ends)
    is_hole = np.diff(part, prepend=-1) == 0  # after the part's exterior
    starts = np.flatnonzero(np.diff(owner[part], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(rings)], strict=True):
        exteriors: list = []
        holes: list = []
        for ring in range(start, stop):
            (holes if is_hole[ring] else exteriors).append(contours[ring])
        if not holes:
            cv2.fillPoly(mask, exteriors, 1)
            continue
        # On a sheet of its own: a hole must not erase another polygon.
        sheet = np.zeros_like(mask)
        cv2.fillPoly(sheet, exteriors, 1)
        cv2.fillPoly(sheet, holes, 0)
        np.bitwise_or(mask, sheet, out=mask)


def _draw_lines(mask: np.ndarray, geometries: np.ndarray) -> None:
    parts, _ = _parts(geometries, _LINE)
    if len(parts):
        points, ends = _coordinates(parts)
        cv2.polylines(mask, np.split(points.astype(np.int32), ends), False, 1,
                      _LINE_WIDTH)
