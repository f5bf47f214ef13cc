"""The ground of a region as rasters: material, colour and shadow.

Rasters are indexed [row, column] with row along +y and column along +x, from
the corner `origin`; cell (r, c) covers a square of `cell` metres.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np
from shapely import box
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from data_tools.world import surfaces
from data_tools.world.blocks import Block
from data_tools.world.layers import MapLayers
from data_tools.world.layout import Layout
from data_tools.world.noise import hash01, value_noise
from data_tools.world.paint import link_paint
from data_tools.world.warp import Warp

LEVELS = 7
_SHIFT = 4  # sub-pixel bits of OpenCV's polygon filling


@dataclass
class Ground:
    """Rasters of a region's ground.

    Attributes:
        origin: World x, y of the rasters' corner.
        cell: Metres per cell of `material`.
        material: (H, W) uint8, index into `SURFACES`.
        texture: (N,) uint8, an RGB mip pyramid: `LEVELS` levels one after
            another, the finest has cells of 2 `cell` metres.
        shapes: (LEVELS, 3) int64: offset, height, width.
    """

    origin: tuple[float, float]
    cell: float
    material: np.ndarray
    texture: np.ndarray
    shapes: np.ndarray

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Material indices (N,) under world points (N, 2)."""
        cells = np.floor((np.asarray(xy) - self.origin) / self.cell)
        rows = np.clip(cells[:, 1].astype(int), 0, self.material.shape[0] - 1)
        cols = np.clip(cells[:, 0].astype(int), 0, self.material.shape[1] - 1)
        return self.material[rows, cols]


def fill(raster: np.ndarray, polygon: Polygon, value: int, origin: Sequence[float],
         cell: float) -> None:
    """Fill a world polygon (with holes) in a raster, half-cell exact."""
    scale = (1 << _SHIFT) / cell
    # OpenCV puts whole numbers at pixel centres, rasters at cell corners.
    offset = np.asarray(origin) + .5 * cell
    rings = [np.round((np.asarray(ring.coords)[:, :2] - offset) * scale)
             .astype(np.int32)
             for ring in (polygon.exterior, *polygon.interiors)]
    cv2.fillPoly(raster, rings, value, lineType=cv2.LINE_8, shift=_SHIFT)


def _draw(raster: np.ndarray, layout: Layout, blocks: list[Block], layers: MapLayers,
          warp: Warp, rng: np.random.Generator, origin: Sequence[float],
          cell: float) -> None:
    def put(shape: BaseGeometry, name: str) -> None:
        fill(raster, shape, surfaces.INDEX[name], origin, cell)

    put(warp.geometry(box(*layout.extent)), 'asphalt')
    for block in blocks:
        put(warp.geometry(block.outline), 'grass')
        put(warp.geometry(block.core.buffer(.6)), block.use)
    for shape in layers.polygons('walkway'):
        put(shape, 'walkway')
    for block in blocks:
        # The kerb stone lies inside the raised area's edge.
        rim = block.raised.difference(block.raised.buffer(-.17))
        for part in getattr(rim, 'geoms', [rim]):
            put(warp.geometry(part), 'kerb')
    for shape in layers.polygons('carpark_area'):
        put(shape, 'parking')
    # OpenCV fills a polygon's border cells, too: the road comes after what
    # it borders on, or slivers of raised ground would part it from its bays.
    for shape in layers.polygons('drivable_area'):
        put(shape, 'asphalt')
    for _ in range(60):
        u = rng.uniform(layout.extent[0], layout.extent[2])
        road = layout.across[rng.integers(len(layout.across))]
        d = rng.uniform(-road.half_width, road.half_width - 2)
        patch = road.rectangle(u, u + rng.uniform(1, 9), d,
                               d + rng.uniform(.5, 2))
        put(warp.geometry(patch), 'repair')
    for block in blocks:
        for park in block.car_parks:
            for line in park.paint:
                put(warp.geometry(line), 'bay_paint')
    zebra = bool(rng.random() < .75)
    for link in layout.links:
        for name, shape in link_paint(layout, link, zebra):
            put(warp.geometry(shape), name)


@numba.njit(cache=True, nogil=True)
def _colour(material: np.ndarray, colours: np.ndarray, grains: np.ndarray, cell: float,
            x0: float, y0: float, seed: int, out: np.ndarray) -> None:
    """Mean colour of 2 x 2 material cells with each surface's texture."""
    rows, cols = out.shape[0], out.shape[1]
    for r in range(rows):
        for c in range(cols):
            x, y = x0 + 2 * cell * c, y0 + 2 * cell * r
            red = green = blue = 0.0
            for k in range(4):
                m = material[2 * r + k // 2, 2 * c + k % 2]
                red += colours[m, 0]
                green += colours[m, 1]
                blue += colours[m, 2]
            m = material[2 * r, 2 * c]
            grain = grains[m]
            broad = value_noise(x * .13, y * .13, seed) - .5
            mid = value_noise(x * 1.1, y * 1.1, seed + 1) - .5
            fine = hash01(r, c, seed + 2) - .5
            gain = 1 + grain * (1.1 * broad + .8 * mid + .9 * fine)
            if m == 3:  # paving slabs, 0.8 m
                fx, fy = x / .8 - np.floor(x / .8), y / .8 - np.floor(y / .8)
                if fx < .13 or fy < .13:
                    gain *= .86
            elif m == 4 or m == 5 or m == 6:  # worn paint
                gain *= 1 - .3 * value_noise(x * 3.1, y * 3.1, seed + 3)**3
            elif m == 1 or m == 9:  # oil along the lanes' middle, cracks
                crack = value_noise(x * .6, y * .6, seed + 4)
                if abs(crack - .5) < .006:
                    gain *= .8
            gain *= .25
            out[r, c, 0] = min(255., max(0., red * gain))
            out[r, c, 1] = min(255., max(0., green * gain))
            out[r, c, 2] = min(255., max(0., blue * gain))


def build_ground(rng: np.random.Generator, layout: Layout,
                 blocks: list[Block], layers: MapLayers, warp: Warp,
                 bounds: tuple[float, float, float, float],
                 cell: float) -> Ground:
    """Rasterise a region's ground.

    Args:
        rng: Source of the textures' variation.
        layout, blocks, layers, warp: The region's plan.
        bounds: World x_min, y_min, x_max, y_max to cover, metres.
        cell: Metres per material cell.
    """
    tile = 2 << (LEVELS - 1)  # every level halves evenly
    origin = (float(np.floor(bounds[0])), float(np.floor(bounds[1])))
    width = -(-int((bounds[2] - origin[0]) / cell) // tile) * tile
    height = -(-int((bounds[3] - origin[1]) / cell) // tile) * tile
    material = np.full((height, width), surfaces.INDEX['grass'], np.uint8)
    _draw(material, layout, blocks, layers, warp, rng, origin, cell)
    tint = rng.normal(1, .05, (len(surfaces.SURFACES), 1))
    tint = tint + rng.normal(0, .015, (len(surfaces.SURFACES), 3))
    colours = (surfaces.COLOURS * tint).astype(np.float32)
    colours[surfaces.INDEX['asphalt']] *= rng.uniform(.8, 1.2)
    texture = np.empty((height // 2, width // 2, 3), np.uint8)
    _colour(material, colours, surfaces.GRAINS, cell, *origin,
            int(rng.integers(1 << 30)), texture)
    levels, shapes, offset = [], [], 0
    for _ in range(LEVELS):
        levels.append(texture.ravel())
        shapes.append((offset, texture.shape[0], texture.shape[1]))
        offset += texture.size
        texture = cv2.resize(
            texture, (max(1, texture.shape[1] // 2),
                      max(1, texture.shape[0] // 2)),
            interpolation=cv2.INTER_AREA)
    return Ground(origin, cell, material, np.concatenate(levels),
                  np.array(shapes, np.int64))
