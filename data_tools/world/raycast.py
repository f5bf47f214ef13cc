"""Exact intersection of rays with the world's solids and its ground.

Rays come as a grid (rows, columns, 3) of directions from one origin: pixels
of a camera, or rings by azimuth of a spinning LiDAR. Each solid is tried on
the rectangle of the grid that can see it, nearest first, against a depth
buffer; the ground, flat with kerbs, is solved per ray from the material
raster. Directions need not have unit length: t is in their units, so camera
rays with a unit component along the optical axis give depth.
"""

import math

import numba
import numpy as np

from data_tools.world.solids import (
    BASE,
    CENTRE,
    COS,
    CYLINDER,
    ELLIPSOID,
    HALF,
    OBJECT,
    SHEAR,
    SIN,
    TAPER_X,
    TAPER_Y,
    TYPE,
    WHEEL,
)

FAR = 1e9
_FAST = dict(cache=True, nogil=True, error_model='numpy')


@numba.njit(**_FAST)
def _slab(distance: float, rate: float, entry: float, leave: float, face: int,
          entry_face: int) -> tuple[float, float, int]:
    """Clip [entry, leave] by a half space: distance + t rate <= 0."""
    if rate > 1e-12 or rate < -1e-12:
        t = -distance / rate
        if rate > 0:
            if t < leave:
                leave = t
        elif t > entry:
            entry, entry_face = t, face
    elif distance > 0:
        leave = -FAR
    return entry, leave, entry_face


@numba.njit(**_FAST)
def _quadric(a: float, b: float, c: float) -> tuple[float, float]:
    """Roots of a t^2 + 2 b t + c as (near, far); near > far if none."""
    disc = b * b - a * c
    if disc < 0 or a < 1e-18:
        return FAR, -FAR
    root = math.sqrt(disc)
    return (-b - root) / a, (-b + root) / a


@numba.njit(**_FAST)
def hit_solid(row: np.ndarray, ox: float, oy: float, oz: float, dx: float, dy: float,
              dz: float) -> tuple[float, int]:
    """First hit of a ray on a solid's table row.

    Returns:
        (t, face): t is FAR where it misses or starts inside; face is 0/1
        for -x/+x, 2/3 for -y/+y, 4/5 for -z/+z, 6 for a curved side.
    """
    c, s = row[COS], row[SIN]
    px, py = ox - row[CENTRE], oy - row[CENTRE + 1]
    x, y, z = c * px + s * py, -s * px + c * py, oz - row[CENTRE + 2]
    vx, vy, vz = c * dx + s * dy, -s * dx + c * dy, dz
    hx, hy, hz = row[HALF], row[HALF + 1], row[HALF + 2]
    kind = int(row[TYPE])
    entry, leave, face = -FAR, FAR, 6
    if kind == ELLIPSOID:
        ax, ay, az = x / hx, y / hy, z / hz
        bx, by, bz = vx / hx, vy / hy, vz / hz
        entry, leave = _quadric(bx * bx + by * by + bz * bz,
                                ax * bx + ay * by + az * bz,
                                ax * ax + ay * ay + az * az - 1)
    elif kind == CYLINDER:
        a = vx * vx + vy * vy
        if a > 1e-18:
            entry, leave = _quadric(a, x * vx + y * vy,
                                    x * x + y * y - hx * hx)
        elif x * x + y * y > hx * hx:
            return FAR, 6
        entry, leave, face = _slab(z - hz, vz, entry, leave, 5, face)
        entry, leave, face = _slab(-z - hz, -vz, entry, leave, 4, face)
    elif kind == WHEEL:
        a = vx * vx + vz * vz
        if a > 1e-18:
            entry, leave = _quadric(a, x * vx + z * vz,
                                    x * x + z * z - hx * hx)
        elif x * x + z * z > hx * hx:
            return FAR, 6
        entry, leave, face = _slab(y - hy, vy, entry, leave, 3, face)
        entry, leave, face = _slab(-y - hy, -vy, entry, leave, 2, face)
    else:
        tx, ty, shear = row[TAPER_X], row[TAPER_Y], row[SHEAR]
        entry, leave, face = _slab(z - hz, vz, entry, leave, 5, face)
        entry, leave, face = _slab(-z - hz, -vz, entry, leave, 4, face)
        # Side planes lean inwards by the taper and along x by the shear.
        lean, shift = .5 * tx / hz, .5 * shear / hz
        up = z + hz
        entry, leave, face = _slab(x - hx + (lean - shift) * up,
                                   vx + (lean - shift) * vz, entry, leave, 1,
                                   face)
        entry, leave, face = _slab(-x - hx + (lean + shift) * up,
                                   -vx + (lean + shift) * vz, entry, leave, 0,
                                   face)
        lean = .5 * ty / hz
        entry, leave, face = _slab(y - hy + lean * up, vy + lean * vz, entry,
                                   leave, 3, face)
        entry, leave, face = _slab(-y - hy + lean * up, -vy + lean * vz,
                                   entry, leave, 2, face)
    if entry >= leave or entry <= 0:
        return FAR, face
    return entry, face


@numba.njit(**_FAST)
def cast_solids(rays: np.ndarray, origin: np.ndarray, solids: np.ndarray,
                order: np.ndarray, rects: np.ndarray, t: np.ndarray, index: np.ndarray,
                stamp: np.ndarray, totals: np.ndarray) -> None:
    """Depth-buffer all solids into `t` and `index`.

    Args:
        rays (R, C, 3), origin (3,): World frame.
        solids: The table of `data_tools.world.solids`.
        order (M,), rects (N, 4): Solids to try, nearest first, and the grid
            rectangle of each: row0, row1, col0, col1, half open; columns may
            run past the end and wrap around (LiDAR).
        t (R, C), index (R, C): Depth buffer (FAR) and solid index (-1);
            updated.
        stamp: Scratch int32 filled with -1.
        totals: Rays that meet each object, occluded or not; updated.
    """
    columns = rays.shape[1]
    for n in order:
        row = solids[n]
        thing = int(row[OBJECT])
        for r in range(rects[n, 0], rects[n, 1]):
            for cc in range(rects[n, 2], rects[n, 3]):
                c = cc % columns
                hit, _ = hit_solid(row, origin[0], origin[1], origin[2],
                                   rays[r, c, 0], rays[r, c, 1],
                                   rays[r, c, 2])
                if hit >= FAR:
                    continue
                if thing >= 0 and stamp[r, c] != thing:
                    stamp[r, c] = thing
                    totals[thing] += 1
                if hit < t[r, c]:
                    t[r, c] = hit
                    index[r, c] = n


@numba.njit(**_FAST)
def _height(material: np.ndarray, heights: np.ndarray, x: float, y: float,
            cell: float) -> float:
    c, r = int(math.floor(x / cell)), int(math.floor(y / cell))
    if r < 0 or c < 0 or r >= material.shape[0] or c >= material.shape[1]:
        return heights[0]
    return heights[material[r, c]]


@numba.njit(**_FAST)
def hit_ground(ox: float, oy: float, oz: float, dx: float, dy: float, dz: float,
               limit: float, material: np.ndarray, heights: np.ndarray, x0: float,
               y0: float, cell: float, kerb: float) -> tuple[float, bool]:
    """First hit of a ray on the ground.

    Returns:
        (t, side): FAR where it misses within `limit`; side is True on the
        upright face of a kerb.
    """
    if dz >= -1e-9:
        return FAR, False
    top = (kerb - oz) / dz
    bottom = -oz / dz
    if top > limit or bottom <= 0:
        return FAR, False
    x, y = ox + top * dx - x0, oy + top * dy - y0
    if top > 0 and _height(material, heights, x, y, cell) > .5 * kerb:
        return top, False
    # Between the two planes the ray travels over lower ground: look for a
    # kerb in steps of half a cell, in the last stretch over the road.
    run = (bottom - max(top, 0.)) * math.sqrt(dx * dx + dy * dy)
    steps = int(run / (.6 * cell)) + 1
    if steps > 160:
        steps = 160
    start = max(top, 0.)
    for k in range(1, steps + 1):
        t = start + (bottom - start) * k / steps
        if t > limit:
            return FAR, False
        if _height(material, heights, ox + t * dx - x0, oy + t * dy - y0,
                   cell) > .5 * kerb:
            return t, True
    if bottom > limit:
        return FAR, False
    return bottom, False


@numba.njit(**_FAST)
def cast_ground(rays: np.ndarray, origin: np.ndarray, material: np.ndarray,
                heights: np.ndarray, corner: np.ndarray, cell: float, kerb: float,
                t: np.ndarray, index: np.ndarray, side: np.ndarray) -> None:
    """Depth-buffer the ground after the solids; its index is BASE (-2)."""
    for r in range(rays.shape[0]):
        for c in range(rays.shape[1]):
            hit, upright = hit_ground(
                origin[0], origin[1], origin[2], rays[r, c, 0], rays[r, c, 1],
                rays[r, c, 2], t[r, c], material, heights, corner[0],
                corner[1], cell, kerb)
            if hit < t[r, c]:
                t[r, c] = hit
                index[r, c] = BASE
                side[r, c] = upright


def by_distance(solids: np.ndarray, origin: np.ndarray,
                reach: float) -> np.ndarray:
    """Indices of the solids within `reach` metres, nearest first."""
    delta = solids[:, CENTRE:CENTRE + 2] - np.asarray(origin)[:2]
    radius = np.hypot(solids[:, HALF], solids[:, HALF + 1])
    distance = np.hypot(delta[:, 0], delta[:, 1]) - radius
    order = np.argsort(distance, kind='stable')
    return order[distance[order] < reach].astype(np.int64)
