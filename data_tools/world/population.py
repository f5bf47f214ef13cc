"""Who is about: parked and moving vehicles, people, road works."""
from collections.abc import Sequence

import numpy as np
from shapely import LineString, Point
from shapely.geometry import Polygon

from data_tools.world import paint
from data_tools.world.actors import Actor, Crowd, draw_model, draw_size, still
from data_tools.world.blocks import Block, free_spans
from data_tools.world.layout import Layout
from data_tools.world.surfaces import KERB_HEIGHT
from data_tools.world.trajectory import Trajectory, resample
from data_tools.world.warp import Warp

EGO_SIZE = (4.9, 2.1, 1.8)
EGO_CENTRE = 1.4  # its middle lies this far ahead of the rear axle, metres


class _Town:
    def __init__(self, rng: np.random.Generator, layout: Layout, blocks: list[Block],
                 warp: Warp, ego: Trajectory, duration: float, bustle: float) -> None:
        self.bustle = bustle
        self.rng, self.layout, self.blocks = rng, layout, blocks
        self.warp, self.duration = warp, duration
        self.crowd = Crowd(np.arange(-.75, duration + 1, .25))
        ahead = np.stack((np.cos(ego.yaw), np.sin(ego.yaw)), -1)
        self.crowd.reserve(
            Trajectory(ego.times, ego.xy + EGO_CENTRE * ahead, ego.yaw),
            (EGO_SIZE[0] + 1.5, EGO_SIZE[1] + .3, EGO_SIZE[2]))
        self.track = ego.xy[ego.times <= duration][::20]

    def near(self, xy: Sequence[float] | np.ndarray, reach: float) -> bool:
        """Whether a world point lies within `reach` of the ego's way."""
        return bool((np.hypot(*(self.track - xy).T) < reach).any())

    def add(self, category: str, state: str, motion: Trajectory, base: float = 0.,
            size: tuple[float, float, float] | None = None,
            rider: bool = False) -> bool:
        size = draw_size(self.rng, category) if size is None else size
        rows = draw_model(self.rng, category, size, rider)
        return self.crowd.try_add(Actor(category, state, size, rows, motion,
                                        base, rider))

    def world_pose(self, uv: Sequence[float] | np.ndarray,
                   heading: float) -> tuple[float, float, float]:
        uv = np.asarray(uv, float)[None]
        x, y = self.warp.points(uv)[0]
        return x, y, float(self.warp.headings(uv, np.array([heading]))[0])

    def glide(self, uv: np.ndarray, start: float, speed: float) -> Trajectory:
        """Constant speed along a layout path from arc length `start`."""
        path = self.warp.points(resample(uv, .5))
        delta = np.gradient(path, axis=0)
        yaw = np.unwrap(np.arctan2(delta[:, 1], delta[:, 0]))
        s = np.concatenate(([0], np.cumsum(np.hypot(*np.diff(path, axis=0).T)
                                           )))
        return Trajectory((s - start) / speed, path, yaw)

    def park(self) -> None:
        rng = self.rng
        for block in self.blocks:
            for bays in block.car_parks:
                share = rng.uniform(.25, .75)
                for slot in bays.slots:
                    if rng.random() > share:
                        continue
                    kind = 'car' if rng.random() < .93 else (
                        'motorcycle' if rng.random() < .5 else 'bicycle')
                    size = draw_size(rng, kind)
                    size = (min(size[0], slot.length - .3),
                            min(size[1], slot.width - .4), size[2])
                    flip = np.pi if rng.random() < .35 else 0.
                    pose = self.world_pose(
                        (slot.u + rng.normal(0, .08),
                         slot.v + rng.normal(0, .08)),
                        slot.heading + flip + rng.normal(0, .02))
                    if self.near(pose[:2], 95):
                        self.add(kind, 'parked', still(*pose), size=size)

    def kerbside(self) -> None:
        """Vehicles parked along the kerb, outside of bays."""
        rng = self.rng
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            for forward in (True, False):
                sign = self.layout.side if forward else -self.layout.side
                share = rng.uniform(.3, .95)
                for lo, hi in free_spans(link):
                    for s in np.arange(lo + 3, hi - 3, 6.1):
                        if rng.random() > share:
                            continue
                        size = draw_size(rng, 'car')
                        d = sign * (road.half_width - .5 * size[1] - .12)
                        pose = self.world_pose(
                            road.point(s + rng.uniform(-.4, .4), d),
                            road.heading(forward) + rng.normal(0, .02))
                        if self.near(pose[:2], 95):
                            self.add('car', 'parked', still(*pose), size=size)

    def _vehicle(self) -> str:
        share = np.array([.7, .1, .05, .05, .05, .02, .03])
        if self.bustle != 1:  # more buses and two-wheelers
            share[2:5] *= self.bustle
            share /= share.sum()
        return str(self.rng.choice(
            ['car', 'truck', 'bus', 'motorcycle', 'bicycle', 'construction',
             'trailer'], p=share))

    def queue(self) -> None:
        """Vehicles that wait at stop lines."""
        rng = self.rng
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            for forward, approach in paint.approaches(link):
                for lane in range(road.lanes):
                    if rng.random() > .3:
                        continue
                    d = self.layout.lane_offset(road, forward, lane)
                    s = approach.bar[0] if forward else approach.bar[1]
                    for _ in range(int(rng.integers(1, 4))):
                        kind = self._vehicle()
                        size = draw_size(rng, kind)
                        back = -1 if forward else 1
                        s += back * (size[0] / 2 + rng.uniform(.3, .9))
                        pose = self.world_pose(road.point(s, d),
                                               road.heading(forward))
                        s += back * (size[0] / 2 + rng.uniform(.8, 2.))
                        if not link.start + 6 < s < link.end - 6:
                            break
                        if self.near(pose[:2], 95):
                            self.add(kind, 'stopped', still(*pose),
                                     size=size, rider=True)

    def traffic(self) -> None:
        """Vehicles that move along the lanes."""
        rng = self.rng
        for road in (*self.layout.across, *self.layout.along):
            lo, hi = (self.layout.extent[road.axis],
                      self.layout.extent[road.axis + 2])
            for forward in (True, False):
                for lane in range(road.lanes):
                    d = self.layout.lane_offset(road, forward, lane)
                    ends = (lo, hi) if forward else (hi, lo)
                    path = road.point(np.array(ends), d)
                    speed = rng.uniform(4.5, 10.5)
                    s = rng.uniform(0, 40)
                    while s < hi - lo:
                        kind = self._vehicle()
                        motion = self.glide(path, s, speed)
                        x, y, _ = motion.pose(.5 * self.duration)
                        if self.near((x, y), 100):
                            self.add(kind, 'moving', motion, rider=True)
                        s += rng.uniform(22, 75)

    def walkers(self) -> None:
        rng = self.rng
        for block in self.blocks:
            x, y = self.warp.points(np.array(
                [block.core.centroid.coords[0]]))[0]
            if not self.near((x, y), 100) or not block.walkways:
                continue
            for _ in range(int(rng.poisson(7 * self.bustle))):
                self._walker(block.walkways[rng.integers(
                    len(block.walkways))])

    def _walker(self, paved: Polygon) -> None:
        rng = self.rng
        u0, v0, u1, v1 = paved.bounds
        inside = paved.buffer(-.35)
        for _ in range(60):
            spot = np.array([rng.uniform(u0, u1), rng.uniform(v0, v1)])
            if inside.contains(Point(spot)):
                break
        else:
            return
        heading = rng.integers(4) * np.pi / 2
        speed = rng.uniform(.8, 1.6)
        reach = speed * (self.duration + 2.5)
        ahead = np.array([np.cos(heading), np.sin(heading)])
        path = np.stack((spot, spot + ahead * reach))
        if inside.contains(LineString(path)) and rng.random() < .85:
            self.add('pedestrian', 'moving', self.glide(path, speed * 1.2,
                                                        speed), KERB_HEIGHT)
        else:
            pose = self.world_pose(spot, rng.uniform(0, 2 * np.pi))
            self.add('pedestrian', 'standing', still(*pose), KERB_HEIGHT)

    def crossers(self) -> None:
        """People on the crossings."""
        rng = self.rng
        for link in self.layout.links:
            road = self.layout.road(link.road_key)
            spans = [link.middle] + [a.crossing for _, a in
                                     paint.approaches(link)]
            for span in filter(None, spans):
                if rng.random() > min(.4 * self.bustle, .9):
                    continue
                s = rng.uniform(span[0] + .6, span[1] - .6)
                half = road.half_width - .5
                sign = rng.choice([-1, 1])
                speed = rng.uniform(.9, 1.5)
                room = 2 * half - speed * (self.duration + .8)
                path = road.point([s, s], [-sign * half, sign * half])
                x, y = self.warp.points(path)[0]
                if not self.near((x, y), 80):
                    continue
                if room > 0:
                    start = rng.uniform(0, room) + .8 * speed
                    self.add('pedestrian', 'moving',
                             self.glide(path, start, speed))
                else:
                    pose = self.world_pose(
                        road.point(s, rng.uniform(-half, half)),
                        rng.uniform(0, 6.28))
                    self.add('pedestrian', 'standing', still(*pose))

    def works(self) -> None:
        """A few closed stretches at the kerb, behind barriers or cones."""
        rng = self.rng
        for link in self.layout.links:
            if rng.random() > .12 or link.end - link.start < 30:
                continue
            road = self.layout.road(link.road_key)
            forward = bool(rng.integers(2))
            sign = self.layout.side if forward else -self.layout.side
            s0 = .5 * (link.start + link.end) + rng.uniform(-5, 0)
            d = sign * (road.half_width - .55)
            x, y, _ = self.world_pose(road.point(s0, d), 0.)
            if not self.near((x, y), 80):
                continue
            kind = 'barrier' if rng.random() < .5 else 'cone'
            for k in range(int(rng.integers(3, 6))):
                pose = self.world_pose(road.point(s0 + 2.3 * k, d),
                                       road.heading())
                self.add(kind, 'none', still(*pose))


def populate(rng: np.random.Generator, layout: Layout, blocks: list[Block],
             warp: Warp, ego: Trajectory, duration: float,
             bustle: float = 1., residential: bool = False,
             ) -> list[Actor]:
    """Actors near the ego's way; none touches another or the ego.

    Args:
        rng: Source of randomness.
        layout, blocks, warp: The plan.
        ego: Rear axle of the ego vehicle.
        duration: Seconds, from 0, for which nothing may collide.
        bustle: Scales the number of people and the share of buses and
            two-wheelers.
        residential: Cars are parked along the kerb, too.
    """
    town = _Town(rng, layout, blocks, warp, ego, duration, bustle)
    town.works()
    town.crossers()
    town.queue()
    town.park()
    if residential:
        town.kerbside()
    town.traffic()
    town.walkers()
    return town.crowd.actors
