"""One region of the procedural road world, ready to be driven and rendered."""
from collections.abc import Iterable, Sequence

import numpy as np

from data_tools.world import camera, lidar
from data_tools.world.actors import Actor
from data_tools.world.ground import build_ground
from data_tools.world.layers import MapLayers
from data_tools.world.population import populate
from data_tools.world.regions import plan_region
from data_tools.world.scenery import build_scenery
from data_tools.world.shadows import CELL, ShadowMap
from data_tools.world.solids import BOX, CENTRE, place, solid
from data_tools.world.trajectory import ego_trajectory
from data_tools.world.weather import KINDS, random_weather

MARGIN = 125.0  # ground that is drawn beyond the ego's way, metres


class World:
    """A region: its map, things, weather, and the ego vehicle's drive.

    World axes: x, y in the plane, z up, metres; the road is z = 0. Time runs
    from 0 to `duration` seconds. Everything follows from the seed.

    Args:
        seed: Random seed of the region.
        centre: World position of the plan's middle.
        side: +1 where traffic keeps right, -1 where it keeps left.
        duration: Seconds that the ego drives.
        weather: One of `world.weather.KINDS`; drawn if None.
        cell: Metres per cell of the ground's material; its texture has cells
            twice as large.
        bustle: Scales the number of people, buses, two-wheelers, fences and
            signs.
        residential: Streets of one lane each way, with cars parked along the
            kerb; the drive may start anywhere on its street.

    Attributes:
        map (MapLayers): The vector map.
        ego (Trajectory): Path of the ego's rear axle.
        actors (list[Actor]): Everything with a box.
        weather: Light and air.
    """

    def __init__(self, seed: int | Sequence[int], *,
                 centre: tuple[float, float] = (0., 0.), side: int = 1,
                 duration: float = 10., weather: str | None = None, cell: float = 0.05,
                 bustle: float = 1., residential: bool = False) -> None:
        if weather is not None and weather not in KINDS:
            raise ValueError(f'weather must be one of {KINDS}, got {weather!r}')
        if not duration >= 0:
            raise ValueError(f'duration must not be negative, got {duration}')
        if not cell > 0:
            raise ValueError(f'cell must be positive, got {cell}')
        if not bustle > 0:
            raise ValueError(f'bustle must be positive, got {bustle}')
        region = plan_region(seed, centre, side, residential)
        layout, blocks, warp = region.layout, region.blocks, region.warp
        # One stream per part: a change of one leaves the others alone.
        _, _, route, fauna, flora, sky, skin = (
            np.random.default_rng(s)
            for s in np.random.SeedSequence(seed).spawn(7))
        self.duration = float(duration)
        self.map: MapLayers = region.map
        self.ego = ego_trajectory(route, region.graph, warp, duration + 1,
                                  residential)
        self.weather = random_weather(sky, weather)
        self.actors: list[Actor] = populate(fauna, layout, blocks, warp,
                                            self.ego, duration, bustle,
                                            residential)
        way = self.ego.xy[self.ego.times <= duration + 1]
        bounds = (*(way.min(0) - MARGIN), *(way.max(0) + MARGIN))
        self.ground = build_ground(skin, layout, blocks, self.map, warp,
                                   bounds, cell)
        scenery = build_scenery(flora, layout, blocks, warp, bustle)
        middle = np.array(bounds).reshape(2, 2).mean(0)
        reach = .5 * np.hypot(*(way.max(0) - way.min(0))) + 240
        near = np.hypot(*(scenery[:, CENTRE:CENTRE + 2] - middle).T) < reach
        self._scenery = scenery[near]
        self._moving = [(thing, actor) for thing, actor in
                        enumerate(self.actors) if not actor.is_still]
        still = [(thing, actor) for thing, actor in enumerate(self.actors)
                 if actor.is_still]
        rows, cols = (int(n * cell / CELL) + 1
                      for n in self.ground.material.shape)
        self._shadows = ShadowMap(self.ground.origin, (rows, cols),
                                  self.weather.sun)
        self._shadows.add_still(np.concatenate(
            (self._scenery, *_outlines(still, 0.))))
        self._still = np.concatenate((self._scenery, *_placed(still, 0.)))

    def solids(self, time: float) -> np.ndarray:
        """Table of everything above the ground at `time`."""
        return np.concatenate((self._still, *_placed(self._moving, time)))

    def _shadow(self, time: float) -> np.ndarray:
        rows = _outlines(self._moving, time)
        return self._shadows.with_moving(
            np.concatenate(rows) if rows else self._still[:0])

    def photograph(self, time: float, intrinsic: np.ndarray,
                   size: tuple[int, int], world_from_camera: np.ndarray,
                   seed: int = 0) -> camera.Shot:
        """Picture, depth, labels and objects; see `camera.render`."""
        solids = self.solids(time)
        return camera.render(solids, len(self.actors), self.ground,
                             self._shadow(time), self.weather,
                             intrinsic, size, world_from_camera, seed)

    def scan(self, time: float, pattern: lidar.BeamPattern,
             world_from_lidar: np.ndarray, seed: int = 0) -> lidar.Sweep:
        """One LiDAR sweep; see `lidar.scan`."""
        return lidar.scan(self.solids(time), self.ground, self.weather,
                          pattern, world_from_lidar, seed)

    def ego_pose(self, time: float) -> np.ndarray:
        """World from ego (4, 4): rear axle on the road, x ahead, z up."""
        x, y, yaw = self.ego.pose(time)
        pose = np.eye(4)
        c, s = np.cos(yaw), np.sin(yaw)
        pose[:2, :2] = (c, -s), (s, c)
        pose[:2, 3] = x, y
        return pose


def _placed(actors: Iterable[tuple[int, Actor]], time: float) -> list[np.ndarray]:
    """Solids of (index, actor) pairs at their poses."""
    tables = []
    for thing, actor in actors:
        x, y, yaw = actor.pose(time)
        tables.append(place(actor.rows, x, y, actor.base, yaw, thing))
    return tables


def _outlines(actors: Iterable[tuple[int, Actor]], time: float) -> list[np.ndarray]:
    """One box per actor: what its shadow is cast by."""
    tables = []
    for thing, actor in actors:
        x, y, yaw = actor.pose(time)
        half = .5 * np.array(actor.size)
        row = solid(BOX, (0, 0, half[2]), half * (.96, .96, 1.), 0, (0, 0, 0))
        tables.append(place(row[None], x, y, 0., yaw, thing))
    return tables
