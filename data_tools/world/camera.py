"""Pinhole camera of the world: picture, depth, labels and objects.

A pixel's whole-number coordinates are its centre: the pixel (u, v) shows the
ray through (u, v) of the intrinsic matrix, as in OpenCV.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numba
import numpy as np

from data_tools.world import raycast, surfaces
from data_tools.world.ground import Ground
from data_tools.world.shading import Floor, Hits, Light, shade
from data_tools.world.shadows import CELL as SHADOW_CELL
from data_tools.world.solids import CENTRE, COS, HALF, OBJECT, SIN
from data_tools.world.weather import Weather

REACH = 260.0
_NEAR = 0.05


@dataclass
class Shot:
    """What a camera sees.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth: (H, W) float32 metres along the optical axis, inf in the sky.
        label: (H, W) uint8 label ids (`world.labels`).
        thing: (H, W) int32 index of the actor, -1 elsewhere.
        footprint: (actors,) pixels each actor would cover if nothing stood
            before it.
    """

    rgb: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    thing: np.ndarray
    footprint: np.ndarray


@numba.njit(cache=True, nogil=True)
def _rectangles(solids: np.ndarray, order: np.ndarray, rotation: np.ndarray,
                origin: np.ndarray, intrinsic: np.ndarray, rows: int, cols: int,
                out: np.ndarray) -> None:
    """Pixel rectangle that holds each solid's bounding box."""
    low = np.array([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3])
    high = np.array([1, 2, 3, 0, 5, 6, 7, 4, 4, 5, 6, 7])
    corner = np.empty((8, 3))
    for n in order:
        row = solids[n]
        c, s = row[COS], row[SIN]
        for k in range(8):
            sx = 1. if k % 4 in (0, 1) else -1.
            sy = 1. if k % 4 in (0, 3) else -1.
            x, y = sx * row[HALF], sy * row[HALF + 1]
            wx = row[CENTRE] + c * x - s * y - origin[0]
            wy = row[CENTRE + 1] + s * x + c * y - origin[1]
            wz = row[CENTRE + 2] + (row[HALF + 2] if k < 4 else
                                    -row[HALF + 2]) - origin[2]
            for a in range(3):  # camera axes are the columns of `rotation`
                corner[k, a] = (rotation[0, a] * wx + rotation[1, a] * wy
                                + rotation[2, a] * wz)
        u0, u1, v0, v1 = 1e9, -1e9, 1e9, -1e9
        for e in range(12):  # edges, cut where they pass behind the lens
            a, b = low[e], high[e]
            za, zb = corner[a, 2], corner[b, 2]
            if za < _NEAR and zb < _NEAR:
                continue
            for end in range(2):
                p, q = (a, b) if end == 0 else (b, a)
                x, y, z = corner[p, 0], corner[p, 1], corner[p, 2]
                if z < _NEAR:
                    w = (_NEAR - z) / (corner[q, 2] - z)
                    x += w * (corner[q, 0] - x)
                    y += w * (corner[q, 1] - y)
                    z = _NEAR
                u = intrinsic[0, 0] * x / z + intrinsic[0, 2]
                v = intrinsic[1, 1] * y / z + intrinsic[1, 2]
                u0, u1 = min(u0, u), max(u1, u)
                v0, v1 = min(v0, v), max(v1, v)
        out[n, 0] = int(max(0., min(rows, np.floor(v0))))
        out[n, 1] = int(max(0., min(rows, np.ceil(v1) + 1)))
        out[n, 2] = int(max(0., min(cols, np.floor(u0))))
        out[n, 3] = int(max(0., min(cols, np.ceil(u1) + 1)))


def pixel_rays(intrinsic: np.ndarray, size: tuple[int, int],
               rotation: np.ndarray) -> np.ndarray:
    """World directions (H, W, 3) with unit optical-axis component.

    Args:
        intrinsic: Without skew.
        size: Width, height in pixels.
        rotation: World from camera (x right, y down, z ahead).
    """
    width, height = size
    u = (np.arange(width) - intrinsic[0, 2]) / intrinsic[0, 0]
    v = (np.arange(height) - intrinsic[1, 2]) / intrinsic[1, 1]
    return (u[None, :, None] * rotation[:, 0] + v[:, None, None]
            * rotation[:, 1] + rotation[:, 2])


def _light(weather: Weather) -> Light:
    values = (getattr(weather, name) for name in Light._fields)
    fields: list[Any] = [value if isinstance(value, np.ndarray) else float(value)
                         for value in values]
    return Light(*fields)


def _soften(rgb: np.ndarray, index: np.ndarray) -> None:
    """Blur outlines a little in place: one ray per pixel leaves stairs."""
    edge = np.zeros(index.shape, np.bool_)
    across, down = np.diff(index, axis=1) != 0, np.diff(index, axis=0) != 0
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    soft = cv2.GaussianBlur(rgb, (3, 3), .7)
    rgb[edge] = soft[edge]


def render(solids: np.ndarray, actors: int, ground: Ground,
           shadow: np.ndarray, weather: Weather, intrinsic: np.ndarray,
           size: tuple[int, int], world_from_camera: np.ndarray,
           seed: int) -> Shot:
    """Render one picture.

    Args:
        solids: Everything above the ground.
        actors: Number of actors that solids may belong to.
        ground, shadow, weather: The region.
        intrinsic: Pixels, without skew.
        size: Width, height in pixels.
        world_from_camera: Camera x right, y down, z ahead.
        seed: Sensor noise seed.

    Raises:
        ValueError: the intrinsic matrix has skew or no focal length.
    """
    intrinsic = np.asarray(intrinsic, np.float64)
    if intrinsic.shape != (3, 3) or intrinsic[0, 1] != 0 or not (
            intrinsic[0, 0] > 0 and intrinsic[1, 1] > 0):
        raise ValueError('intrinsic must be a 3x3 matrix without skew and '
                         f'with positive focal lengths, got {intrinsic!r}')
    width, height = size
    rotation = np.ascontiguousarray(world_from_camera[:3, :3], np.float64)
    origin = np.ascontiguousarray(world_from_camera[:3, 3], np.float64)
    rays = pixel_rays(intrinsic, size, rotation)
    order = raycast.by_distance(solids, origin, REACH)
    rects = np.zeros((len(solids), 4), np.int64)
    _rectangles(solids, order, rotation, origin, intrinsic, height, width,
                rects)
    t = np.full((height, width), raycast.FAR)
    index = np.full((height, width), -1, np.int32)
    stamp = np.full((height, width), -1, np.int32)
    footprint = np.zeros(max(actors, 1), np.int64)
    raycast.cast_solids(rays, origin, solids, order, rects, t, index, stamp,
                        footprint)
    side = np.zeros((height, width), np.bool_)
    corner = np.array(ground.origin)
    raycast.cast_ground(rays, origin, ground.material, surfaces.HEIGHTS,
                        corner, ground.cell, surfaces.KERB_HEIGHT, t, index,
                        side)
    rgb = np.empty((height, width, 3), np.uint8)
    label = np.empty((height, width), np.uint8)
    floor = Floor(corner, ground.texture, ground.shapes, 2. * ground.cell,
                  ground.material, float(ground.cell), surfaces.LABELS, shadow,
                  float(SHADOW_CELL))
    shade(Hits(rays, origin, solids, t, index, side), floor, _light(weather),
          1 / intrinsic[0, 0], seed, rgb, label)
    _soften(rgb, index)
    depth = np.where(index == -1, np.inf, t).astype(np.float32)
    thing = np.where(index >= 0, solids[index, OBJECT].astype(np.int32), -1)
    return Shot(rgb, depth, label, thing.astype(np.int32), footprint[:actors])
