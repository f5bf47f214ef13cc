"""Colour of what a ray has hit."""

import math
from typing import NamedTuple

import numba
import numpy as np

from data_tools.world import labels as _labels
from data_tools.world.noise import hash01, value_noise
from data_tools.world.raycast import FAR, hit_solid
from data_tools.world.solids import (
    BASE,
    BUS_BODY,
    CABIN,
    CAR_BODY,
    CENTRE,
    COLOUR,
    COS,
    CYLINDER,
    ELLIPSOID,
    FACADE,
    FOLIAGE,
    HALF,
    LABEL,
    LAMP,
    MATERIAL,
    SEED,
    SIGN,
    SIN,
    TYPE,
)

_SKY, _SIDEWALK = _labels.SKY, _labels.SIDEWALK
_FAST = dict(cache=True, nogil=True, error_model='numpy')


@numba.njit(**_FAST)
def _texel(texture, offset, height, width, x, y):
    """Bilinear RGB at (x, y) cells of one mip level."""
    x -= .5
    y -= .5
    i, j = int(math.floor(x)), int(math.floor(y))
    fx, fy = x - i, y - j
    i0, i1 = min(max(i, 0), width - 1), min(max(i + 1, 0), width - 1)
    j0, j1 = min(max(j, 0), height - 1), min(max(j + 1, 0), height - 1)
    a, b = offset + 3 * (j0 * width + i0), offset + 3 * (j0 * width + i1)
    c, d = offset + 3 * (j1 * width + i0), offset + 3 * (j1 * width + i1)
    wa, wb = (1 - fx) * (1 - fy), fx * (1 - fy)
    wc, wd = (1 - fx) * fy, fx * fy
    return (wa * texture[a] + wb * texture[b] + wc * texture[c]
            + wd * texture[d],
            wa * texture[a + 1] + wb * texture[b + 1] + wc * texture[c + 1]
            + wd * texture[d + 1],
            wa * texture[a + 2] + wb * texture[b + 2] + wc * texture[c + 2]
            + wd * texture[d + 2])


@numba.njit(**_FAST)
def _ground_colour(texture, shapes, cell, x, y, wide, deep, ux, uy):
    """Texture over a pixel's footprint: `wide` across, `deep` along (ux, uy).

    Up to four taps along the view keep paint sharp at grazing angles.
    """
    taps = 1
    if deep > wide:
        taps = min(4, int(deep / wide + .5))
    size = max(wide, deep / taps)
    level = 0
    scale = cell
    while level < shapes.shape[0] - 1 and scale * 1.42 < size:
        scale *= 2
        level += 1
    red = green = blue = 0.0
    for k in range(taps):
        shift = deep * ((k + .5) / taps - .5)
        r, g, b = _texel(texture, shapes[level, 0], shapes[level, 1],
                         shapes[level, 2], (x + shift * ux) / scale,
                         (y + shift * uy) / scale)
        red += r
        green += g
        blue += b
    return red / taps, green / taps, blue / taps


@numba.njit(**_FAST)
def _facade(row, along, z, footprint, r, g, b):
    """Windows in rows; they fade to their mean where a pixel holds many."""
    seed = int(row[SEED])
    pitch = 2.2 + 1.6 * hash01(seed, 1, 7)
    share = .5 + .3 * hash01(seed, 2, 7)
    floor = 3.1
    column, storey = math.floor(along / pitch), math.floor(z / floor)
    fx, fz = along / pitch - column, z / floor - storey
    lit = hash01(int(column) + 977 * int(storey), seed, 11)
    wr, wg, wb = 52 + 50 * lit, 64 + 54 * lit, 78 + 58 * lit
    blend = min(1., max(0., (footprint - .35) / .9))
    inside = (abs(fx - .5) < .5 * share and .28 < fz < .82)
    if storey == 0:
        inside = abs(fx - .5) < .42 and .08 < fz < .8
    weight = (1 - blend) * (1. if inside else 0.) + blend * share * .5
    return (r + (wr - r) * weight, g + (wg - g) * weight,
            b + (wb - b) * weight)


@numba.njit(**_FAST)
def _solid_colour(row, face, lx, ly, lz, footprint):
    """Albedo of a solid at its local point (relative to its centre)."""
    r, g, b = row[COLOUR], row[COLOUR + 1], row[COLOUR + 2]
    hx, hy, hz = row[HALF], row[HALF + 1], row[HALF + 2]
    kind = int(row[MATERIAL])
    up = (lz + hz) / (2 * hz)
    if kind == FACADE and face < 4:
        along = ly if face < 2 else lx
        return _facade(row, along, lz + hz, footprint, r, g, b)
    if kind == FOLIAGE:
        seed = int(row[SEED])
        grain = value_noise(lx * 2.3 + lz * 1.7, ly * 2.3 - lz * 2.1, seed)
        fine = value_noise(lx * 7 + lz * 6, ly * 7 - lz * 5, seed + 1)
        gain = .55 + .5 * grain + .4 * fine * max(0., 1 - footprint * 2)
        return r * gain, g * gain, b * gain
    if kind == CAR_BODY:
        if face == 1:
            if abs(ly) > .6 * hy and .45 < up < .8:
                return 236., 236., 224.
            if abs(ly) < .45 * hy and .2 < up < .62:
                return 40., 42., 46.
        if face == 0:
            if abs(ly) > .66 * hy and .5 < up < .85:
                return 186., 20., 22.
            if abs(ly) < .28 * hy and .4 < up < .6:
                return 226., 222., 196.
        if up < .14 and face < 4:
            return 42., 43., 46.
    if kind == CABIN and face < 4 and .1 < up < .86:
        across = ly / hy if face < 2 else lx / hx
        if face < 2 or abs(across + .06) > .07:
            return 34., 42., 50.
    if kind == BUS_BODY and face < 4 and .46 < up < .84:
        along = ly if face < 2 else lx
        if abs(along / 1.4 - math.floor(along / 1.4) - .5) < .44:
            return 36., 44., 54.
    if kind == SIGN and face < 2:
        if max(abs(ly) / hy, abs(lz) / hz) > .8 or (
                abs(lz) < .22 * hz and abs(ly) < .6 * hy):
            return 240., 240., 236.
    if kind == LAMP and face == 1:
        lit = int(row[SEED])
        for k in range(3):
            dz = lz - (.3 - .3 * k)
            if dz * dz + ly * ly < .014:
                gain = 1. if k == lit else .22
                if k == 0:
                    return 255 * gain, 50 * gain, 40 * gain
                if k == 1:
                    return 255 * gain, 190 * gain, 50 * gain
                return 60 * gain, 240 * gain, 110 * gain
    return r, g, b


@numba.njit(**_FAST)
def _normal(row, face, lx, ly, lz):
    """World normal at a solid's local point."""
    nx = ny = nz = 0.0
    if face == 6:
        kind = int(row[TYPE])
        if kind == ELLIPSOID:
            nx = lx / row[HALF]**2
            ny = ly / row[HALF + 1]**2
            nz = lz / row[HALF + 2]**2
        elif kind == CYLINDER:
            nx, ny = lx, ly
        else:
            nx, nz = lx, lz
        size = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
        nx, ny, nz = nx / size, ny / size, nz / size
    elif face < 2:
        nx = 2.0 * face - 1
    elif face < 4:
        ny = 2.0 * face - 5
    else:
        nz = 2.0 * face - 9
    c, s = row[COS], row[SIN]
    return c * nx - s * ny, s * nx + c * ny, nz


class Hits(NamedTuple):
    """What the rays of a picture have met; see `raycast`.

    Attributes:
        rays (np.ndarray): (R, C, 3) directions.
        origin (np.ndarray): (3,) of all rays, world.
        solids (np.ndarray): (N, FIELDS) everything above the ground.
        t (np.ndarray): (R, C) ray parameter of the hit.
        index (np.ndarray): (R, C) solid, or `BASE`, or -1 in the sky.
        side (np.ndarray): (R, C) whether a kerb's side was met.
    """

    rays: np.ndarray
    origin: np.ndarray
    solids: np.ndarray
    t: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # hides that of tuple
    side: np.ndarray


class Floor(NamedTuple):
    """Rasters of the ground, all from one corner.

    Attributes:
        corner (np.ndarray): (2,) world position.
        texture, shapes (np.ndarray): mip pyramid of the colours.
        texture_cell (float): metres per cell of its finest level.
        material (np.ndarray): (Y, X) surface of each cell.
        material_cell (float): metres.
        labels (np.ndarray): label id of each surface.
        shadow (np.ndarray): (Y, X) cast shadows, 0..255.
        shadow_cell (float): metres.
    """

    corner: np.ndarray
    texture: np.ndarray
    shapes: np.ndarray
    texture_cell: float
    material: np.ndarray
    material_cell: float
    labels: np.ndarray
    shadow: np.ndarray
    shadow_cell: float


class Light(NamedTuple):
    """The part of `Weather` that colours depend on, under the same names."""

    sun: np.ndarray
    sun_colour: np.ndarray
    ambient: np.ndarray
    shadow: float
    zenith: np.ndarray
    horizon: np.ndarray
    clouds: float
    visibility: float
    wetness: float
    exposure: float
    noise: float


@numba.njit(**_FAST)
def shade(hits, floor, light, pixel, seed, rgb, label):
    """Fill `rgb` (R, C, 3) uint8 and `label` (R, C) uint8.

    Args:
        hits (Hits): What the rays have met.
        floor (Floor): The ground.
        light (Light): Sun, sky and sensor.
        pixel (float): Width of a pixel at unit distance along its ray.
        seed (int): Of the sensor's noise.
    """
    rays, origin, solids, t, index, side = hits
    corner, material, shadow = floor.corner, floor.material, floor.shadow
    rows, cols = t.shape
    for i in range(rows):
        for j in range(cols):
            dx, dy, dz = rays[i, j, 0], rays[i, j, 1], rays[i, j, 2]
            size = math.sqrt(dx * dx + dy * dy + dz * dz)
            distance = t[i, j] * size
            n = index[i, j]
            # Sky, also the colour that haze fades to.
            high = max(dz / size, 0.)
            mix = math.sqrt(high)
            hr = light.horizon[0] + (light.zenith[0] - light.horizon[0]) * mix
            hg = light.horizon[1] + (light.zenith[1] - light.horizon[1]) * mix
            hb = light.horizon[2] + (light.zenith[2] - light.horizon[2]) * mix
            if n == -1:
                if high > .01:
                    cx, cy = dx / size / (high + .12), dy / size / (high
                                                                    + .12)
                    cloud = (.65 * value_noise(cx * 1.4, cy * 1.4, seed + 5)
                             + .35 * value_noise(cx * 4, cy * 4, seed + 6))
                    cover = max(0., cloud - .62 + .4 * light.clouds)
                    cover = min(1., 2.2 * cover) * min(1., high * 6)
                    hr += (232 - hr) * cover
                    hg += (234 - hg) * cover
                    hb += (236 - hb) * cover
                red, green, blue = hr, hg, hb
                label[i, j] = _SKY
            else:
                px = origin[0] + t[i, j] * dx
                py = origin[1] + t[i, j] * dy
                pz = origin[2] + t[i, j] * dz
                footprint = t[i, j] * pixel
                lit = 1.0
                if n == BASE:
                    x, y = px - corner[0], py - corner[1]
                    flat = math.sqrt(dx * dx + dy * dy) + 1e-12
                    grazing = max(abs(dz) / size, .02)
                    red, green, blue = _ground_colour(
                        floor.texture, floor.shapes, floor.texture_cell, x, y,
                        footprint,
                        footprint / grazing, dx / flat, dy / flat)
                    r = int(math.floor(y / floor.material_cell))
                    c = int(math.floor(x / floor.material_cell))
                    m = 0
                    if (0 <= r < material.shape[0]
                            and 0 <= c < material.shape[1]):
                        m = material[r, c]
                    label[i, j] = floor.labels[m]
                    nx, ny, nz = 0., 0., 1.
                    sx, sy = x / floor.shadow_cell - .5, y / floor.shadow_cell - .5
                    a, b = int(math.floor(sx)), int(math.floor(sy))
                    if (0 <= a < shadow.shape[1] - 1
                            and 0 <= b < shadow.shape[0] - 1):
                        fx, fy = sx - a, sy - b
                        dark = ((1 - fy) * ((1 - fx) * shadow[b, a]
                                            + fx * shadow[b, a + 1])
                                + fy * ((1 - fx) * shadow[b + 1, a]
                                        + fx * shadow[b + 1, a + 1]))
                        lit = 1 - light.shadow * dark / 255.
                    wet = 1 - .32 * light.wetness
                    if light.wetness > 0:  # puddles mirror the sky a little
                        wet += .12 * light.wetness * (value_noise(
                            px * .35, py * .35, 3) > .68)
                    if side[i, j]:
                        red, green, blue = 150., 148., 144.
                        lit *= .72
                        label[i, j] = _SIDEWALK
                    red, green, blue = red * wet, green * wet, blue * wet
                else:
                    row = solids[n]
                    _, face = hit_solid(row, origin[0], origin[1], origin[2],
                                        dx, dy, dz)
                    gx, gy = px - row[CENTRE], py - row[CENTRE + 1]
                    lx = row[COS] * gx + row[SIN] * gy
                    ly = -row[SIN] * gx + row[COS] * gy
                    lz = pz - row[CENTRE + 2]
                    red, green, blue = _solid_colour(row, face, lx, ly, lz,
                                                     footprint)
                    nx, ny, nz = _normal(row, face, lx, ly, lz)
                    label[i, j] = np.uint8(row[LABEL])
                    # Less sky reaches what is near the ground or faces down.
                    lit = (.72 + .28 * min(1., pz / 1.6)) * (.86 + .14 * nz)
                sun = max(0., nx * light.sun[0] + ny * light.sun[1] + nz * light.sun[2])
                fog = 1 - math.exp(-distance / light.visibility)
                wr = light.ambient[0] + light.sun_colour[0] * sun
                wg = light.ambient[1] + light.sun_colour[1] * sun
                wb = light.ambient[2] + light.sun_colour[2] * sun
                red = red * wr * lit * (1 - fog) + hr * fog
                green = green * wg * lit * (1 - fog) + hg * fog
                blue = blue * wb * lit * (1 - fog) + hb * fog
            u, v = 2. * j / cols - 1, 2. * i / rows - 1
            gain = light.exposure * (1 - .09 * (u * u + v * v))
            noise = light.noise * 1.7 * (hash01(i, j, seed) + hash01(j, i, seed
                                                                  + 1) - 1)
            rgb[i, j, 0] = min(255., max(0., red * gain + noise))
            rgb[i, j, 1] = min(255., max(0., green * gain + noise))
            rgb[i, j, 2] = min(255., max(0., blue * gain + noise))


assert FAR > 1e8
