"""Spinning LiDAR of the world.

A sweep is taken at one instant: it is what a real sweep becomes once the
ego's motion during the turn has been compensated.
"""

from dataclasses import dataclass

import numba
import numpy as np

from data_tools.world import raycast, surfaces
from data_tools.world.ground import Ground
from data_tools.world.noise import hash01
from data_tools.world.solids import (
    BASE,
    CABIN,
    CENTRE,
    COS,
    FOLIAGE,
    HALF,
    LIDAR,
    MATERIAL,
    OBJECT,
    SIN,
)
from data_tools.world.weather import Weather


@dataclass(frozen=True)
class BeamPattern:
    """Directions of a spinning LiDAR in its own frame (z up).

    Attributes:
        elevations: (R,) radians, increasing; ring 0 is lowest.
        azimuths: (A,) radians about z from x, equally spaced over one full
            turn.
        reach: Metres.
        range_noise: Standard deviation, metres.
    """

    elevations: np.ndarray
    azimuths: np.ndarray
    reach: float = 100.0
    range_noise: float = 0.015


@dataclass
class Sweep:
    """Returns of one turn.

    Attributes:
        points: (N, 3) float32, sensor frame, metres; azimuth by azimuth, rings
            ascending.
        intensity: (N,) float32, whole numbers 0..255.
        ring: (N,) int32.
        thing: (N,) int32 actor hit, -1 elsewhere.
        surface: (N,) int16 ground material, -1 off the ground and on the
            upright face of a kerb.
    """

    points: np.ndarray
    intensity: np.ndarray
    ring: np.ndarray
    thing: np.ndarray
    surface: np.ndarray


def _rectangles(solids: np.ndarray, order: np.ndarray, origin: np.ndarray,
                pattern: BeamPattern, rotation: np.ndarray) -> np.ndarray:
    """Grid rectangle (ring0, ring1, azimuth0, azimuth1) of each solid."""
    rings, steps = len(pattern.elevations), len(pattern.azimuths)
    rects = np.zeros((len(solids), 4), np.int64)
    near = solids[order]
    dx, dy = near[:, CENTRE] - origin[0], near[:, CENTRE + 1] - origin[1]
    c, s = near[:, COS], near[:, SIN]
    lx, ly = np.abs(c * dx + s * dy), np.abs(-s * dx + c * dy)
    hx, hy = near[:, HALF], near[:, HALF + 1]
    gap = np.hypot(np.maximum(lx - hx, 0), np.maximum(ly - hy, 0))
    far = np.hypot(lx + hx, ly + hy)
    gap = np.maximum(gap, 1e-3)
    top = near[:, CENTRE + 2] + near[:, HALF + 2] - origin[2]
    low = near[:, CENTRE + 2] - near[:, HALF + 2] - origin[2]
    # The sensor leans a little: widen by what its lean can shift.
    lean = np.arccos(np.clip(rotation[2, 2], -1, 1)) + 1e-3
    up = np.arctan2(top, np.where(top > 0, gap, far)) + lean
    down = np.arctan2(low, np.where(low > 0, far, gap)) - lean
    ring0 = np.searchsorted(pattern.elevations, down)
    ring1 = np.searchsorted(pattern.elevations, up, 'right')
    distance, radius = np.hypot(dx, dy), np.hypot(hx, hy)
    spread = np.where(distance > radius + .1, np.arcsin(np.minimum(
        1, radius / np.maximum(distance, 1e-3))), np.pi)
    spread += 2 * lean
    # Azimuth of the solid's middle in the sensor's frame.
    sensor = np.stack((dx, dy, np.zeros_like(dx)), 1) @ rotation
    azimuth = np.arctan2(sensor[:, 1], sensor[:, 0])
    turn = np.sign(pattern.azimuths[1] - pattern.azimuths[0])
    pitch = 2 * np.pi / steps
    middle = turn * (azimuth - pattern.azimuths[0]) / pitch
    half = spread / pitch + 1
    full = half * 2 + 1 >= steps
    first = np.floor(middle - half).astype(np.int64)
    count = np.minimum(np.ceil(2 * half).astype(np.int64) + 1, steps)
    first = np.where(full, 0, first % steps)
    rects[order] = np.stack((ring0, ring1, first, first + np.where(
        full, steps, count)), 1)
    rects[order, 1] = np.minimum(rects[order, 1], rings)
    return rects


@numba.njit(cache=True, nogil=True)
def _returns(t: np.ndarray, index: np.ndarray, side: np.ndarray, rays: np.ndarray,
             origin: np.ndarray, solids: np.ndarray, material: np.ndarray,
             corner: np.ndarray, cell: float, returns: np.ndarray, reach: float,
             wetness: float, seed: int, power: np.ndarray, surface: np.ndarray) -> None:
    """Received power (0..255, -1 = lost) and surface of every ray."""
    for r in range(t.shape[0]):
        for c in range(t.shape[1]):
            power[r, c], surface[r, c] = -1., -1
            n, d = index[r, c], t[r, c]
            if n == -1 or d > reach or d < 1.2:
                continue
            chance = hash01(r, c, seed)
            grain = hash01(c, r, seed + 1) + hash01(r + 97, c, seed + 2) - 1
            lost = .02 + .5 * max(0., d / reach - .5)
            if n == BASE:
                if side[r, c]:
                    mean, spread = 30., 5.
                else:
                    x = origin[0] + d * rays[r, c, 0] - corner[0]
                    y = origin[1] + d * rays[r, c, 1] - corner[1]
                    i, j = int(y / cell), int(x / cell)
                    m = 0
                    if (y >= 0 and x >= 0 and i < material.shape[0]
                            and j < material.shape[1]):
                        m = material[i, j]
                    surface[r, c] = m
                    mean, spread = returns[m, 0], returns[m, 1]
                    # Beams that graze the ground return little; paint's
                    # beads are made for that, and still do.
                    graze = abs(rays[r, c, 2])
                    mean *= .72 + .28 * min(1., graze * 6)
                    lost += max(0., .5 - 14 * graze)
                    mean *= 1 - .35 * wetness
                    lost += .12 * wetness
            else:
                row = solids[n]
                mean = row[LIDAR]
                spread = .3 * mean
                if row[MATERIAL] == CABIN:
                    lost += .35
                elif row[MATERIAL] == FOLIAGE:
                    lost += .12
            if chance < lost:
                surface[r, c] = -1
                continue
            value = mean + 1.4 * spread * grain
            power[r, c] = min(255., max(1., round(value)))


def scan(solids: np.ndarray, ground: Ground, weather: Weather,
         pattern: BeamPattern, world_from_lidar: np.ndarray,
         seed: int) -> Sweep:
    """Take one sweep.

    Args:
        solids: Everything above the ground.
        ground, weather: The region.
        pattern: The sensor's beams.
        world_from_lidar: Pose of the sensor.
        seed: Seed of range noise and lost returns.
    """
    rotation = np.ascontiguousarray(world_from_lidar[:3, :3], np.float64)
    origin = np.ascontiguousarray(world_from_lidar[:3, 3], np.float64)
    ce, se = np.cos(pattern.elevations), np.sin(pattern.elevations)
    ca, sa = np.cos(pattern.azimuths), np.sin(pattern.azimuths)
    local = np.empty((len(ce), len(ca), 3))
    local[..., 0], local[..., 1] = ce[:, None] * ca, ce[:, None] * sa
    local[..., 2] = se[:, None]
    rays = local @ rotation.T
    order = raycast.by_distance(solids, origin, pattern.reach)
    rects = _rectangles(solids, order, origin, pattern, rotation)
    shape = local.shape[:2]
    t = np.full(shape, raycast.FAR)
    index = np.full(shape, -1, np.int32)
    stamp = np.full(shape, -1, np.int32)
    things = int(solids[:, OBJECT].max(initial=-1)) + 1
    raycast.cast_solids(rays, origin, solids, order, rects, t, index, stamp,
                        np.zeros(max(things, 1), np.int64))
    side = np.zeros(shape, np.bool_)
    corner = np.array(ground.origin)
    raycast.cast_ground(rays, origin, ground.material, surfaces.HEIGHTS,
                        corner, ground.cell, surfaces.KERB_HEIGHT, t, index,
                        side)
    power = np.empty(shape)
    surface = np.empty(shape, np.int16)
    _returns(t, index, side, rays, origin, solids, ground.material, corner,
             ground.cell, surfaces.LIDAR, pattern.reach, weather.wetness,
             seed, power, surface)
    noise = np.random.default_rng([seed, 1]).normal(
        0, pattern.range_noise, shape)
    # Azimuth by azimuth, as the sensor fires.
    kept = np.flatnonzero((power >= 0).T.ravel())

    def fired(grid: np.ndarray) -> np.ndarray:
        return grid.swapaxes(0, 1).reshape(-1, *grid.shape[2:])[kept]

    # Noise stays within three deviations: returns lie near what they hit.
    noise = np.clip(noise, -3 * pattern.range_noise, 3 * pattern.range_noise)
    points = fired(local) * fired(t + noise)[:, None]
    rings = np.broadcast_to(np.arange(shape[0])[:, None], shape)
    hit = fired(index)
    thing = np.where(hit >= 0, solids[hit, OBJECT], -1).astype(np.int32)
    return Sweep(points.astype(np.float32), fired(power).astype(np.float32),
                 fired(rings).astype(np.int32), thing, fired(surface))
