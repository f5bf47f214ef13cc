"""The smooth map from the layout plane, where roads are straight, to metres.

Roads are laid out on an axis-parallel plan and bent afterwards, so that every
crossing, lane and car park stays joined to its neighbours: the map has no
folds, hence polygons that touch before it touch after it.
"""
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Warp:
    """(u, v) -> rotate(u + bend_u(v), v + bend_v(u)) + origin.

    Attributes:
        origin: World position of the plan's (0, 0).
        angle: Rotation in radians, counter-clockwise.
        bend_u, bend_v: Amplitude (m), wave number (rad/m) and phase (rad) of
            the two sine bends. The product of their slopes stays under 1,
            which makes the map one-to-one.
    """

    origin: tuple[float, float]
    angle: float
    bend_u: tuple[float, float, float]
    bend_v: tuple[float, float, float]

    def __post_init__(self) -> None:
        slope = abs(self.bend_u[0] * self.bend_u[1]
                    * self.bend_v[0] * self.bend_v[1])
        if slope >= 1:
            raise ValueError('the bends fold the plane: product of slopes '
                             f'{slope:.2f} must be below 1')

    def points(self, uv: np.ndarray) -> np.ndarray:
        """World (N, 2) of layout points (N, 2), both in metres."""
        uv = np.asarray(uv, np.float64)
        u, v = uv[..., 0], uv[..., 1]
        au, ku, pu = self.bend_u
        av, kv, pv = self.bend_v
        x = u + au * np.sin(ku * v + pu)
        y = v + av * np.sin(kv * u + pv)
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack((c * x - s * y + self.origin[0],
                         s * x + c * y + self.origin[1]), -1)

    def headings(self, uv: np.ndarray, heading: np.ndarray) -> np.ndarray:
        """World heading (N,) of the layout heading at `uv`, radians."""
        uv = np.asarray(uv, np.float64)
        heading = np.asarray(heading, np.float64)
        step = 1e-3 * np.stack((np.cos(heading), np.sin(heading)), -1)
        delta = self.points(uv + step) - self.points(uv - step)
        return np.arctan2(delta[..., 1], delta[..., 0])

    def geometry(self, shape: BaseGeometry, max_segment: float = 2.5) -> Any:
        """World geometry of a layout geometry.

        Edges are split to at most `max_segment` metres first, so that
        straight edges follow the bend to within a centimetre or two.
        """
        return shapely.transform(shapely.segmentize(shape, max_segment),
                                 self.points)


def random_warp(rng: np.random.Generator,
                origin: tuple[float, float]) -> Warp:
    """Draw a warp: near-straight to clearly curved roads, any heading."""
    bends = []
    for _ in range(2):
        slope = rng.uniform(0.02, 0.26)
        wave = 2 * np.pi / rng.uniform(170, 330)
        bends.append((slope / wave, wave, rng.uniform(0, 2 * np.pi)))
    angle = rng.integers(4) * np.pi / 2 + rng.uniform(-0.35, 0.35)
    return Warp(origin, float(angle), *bends)
