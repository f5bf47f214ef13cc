"""The ego vehicle's way through the plan, and its speed along it."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_tools.world.lanes import Lane, LaneGraph
from data_tools.world.layout import ROADS_PER_AXIS
from data_tools.world.warp import Warp

STEP = 0.1             # spacing of a path's points, metres
LATERAL_LIMIT = 2.2    # m/s2 in bends
ACCELERATION = 1.6     # m/s2
BRAKING = 2.0          # m/s2


@dataclass(frozen=True)
class Trajectory:
    """Planar motion along a path.

    Attributes:
        times: (N,) seconds, increasing.
        xy: (N, 2) world metres.
        yaw: (N,) world radians, continuous (not wrapped).
    """

    times: np.ndarray
    xy: np.ndarray
    yaw: np.ndarray

    def pose(self, time: float) -> tuple[float, float, float]:
        """(x, y, yaw) at `time`; clamped to the ends."""
        return (float(np.interp(time, self.times, self.xy[:, 0])),
                float(np.interp(time, self.times, self.xy[:, 1])),
                float(np.interp(time, self.times, self.yaw)))


def resample(points: np.ndarray, step: float = STEP) -> np.ndarray:
    """Points (M, 2) `step` metres apart along a polyline (N, 2)."""
    points = np.asarray(points, float)
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    keep = np.concatenate(([True], gaps > 1e-9))
    points = points[keep]
    s = np.concatenate(([0], np.cumsum(gaps[keep[1:]])))
    at = np.arange(0, s[-1], step)
    return np.stack([np.interp(at, s, points[:, k]) for k in (0, 1)], 1)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    kernel = np.ones(width) / width
    padded = np.pad(values, (width // 2, width - 1 - width // 2), 'edge')
    return np.convolve(padded, kernel, 'valid')


def drive(path: np.ndarray, top_speed: float) -> Trajectory:
    """Time a world path (N, 2) under speed, lateral and braking limits."""
    path = resample(path)
    delta = np.gradient(path, axis=0)
    yaw = _smooth(np.unwrap(np.arctan2(delta[:, 1], delta[:, 0])), 25)
    bend = np.abs(_smooth(np.gradient(yaw) / STEP, 15))
    speed = np.minimum(top_speed, np.sqrt(LATERAL_LIMIT
                                          / np.maximum(bend, 1e-6)))
    squared = speed**2
    for k in range(1, len(squared)):
        squared[k] = min(squared[k],
                         squared[k - 1] + 2 * ACCELERATION * STEP)
    for k in range(len(squared) - 2, -1, -1):
        squared[k] = min(squared[k], squared[k + 1] + 2 * BRAKING * STEP)
    mean = .5 * (np.sqrt(squared[1:]) + np.sqrt(squared[:-1]))
    times = np.concatenate(([0.], np.cumsum(STEP / mean)))
    return Trajectory(times, path, yaw)


def _inside(node: tuple[int, int]) -> bool:
    """Whether a junction has full blocks on every side."""
    return all(1 <= k <= ROADS_PER_AXIS - 2 for k in node)


def _next_node(graph: LaneGraph, lane_key: str) -> tuple[int, int] | None:
    """The junction that a lane leads to, None at the border."""
    choices = graph.after.get(lane_key)
    return choices[0].node if choices else None


def plan_route(rng: np.random.Generator, graph: LaneGraph,
               length: float, anywhere: bool = False) -> np.ndarray:
    """Layout points (N, 2) of a drive of at least `length` metres.

    It starts some way before a junction near the plan's middle (`anywhere`
    along the street that leads to it, if so wished), and takes
    turns that keep it among the inner junctions; where a turn needs another
    lane, the vehicle changes lanes along the link before.
    """
    starts = [lane for lane in graph.lanes.values()
              if (node := _next_node(graph, lane.key)) and _inside(node)
              and _is_inner(graph, lane)]
    lane = starts[rng.integers(len(starts))]
    total = float(np.linalg.norm(lane.line[1] - lane.line[0]))
    before = (rng.uniform(.2, .95) * total if anywhere else
              min(rng.uniform(14, 34), .8 * total))
    entry = lane.line[1] + (lane.line[0] - lane.line[1]) * before / total
    pieces, travelled = [], 0.0
    while travelled < length:
        connector, exit_lane = _choose(rng, graph, lane)
        pieces += [_lane_change(entry, lane, exit_lane), connector.line]
        travelled += sum(np.linalg.norm(np.diff(p, axis=0), axis=1).sum()
                         for p in pieces[-2:])
        lane = graph.lanes[connector.target]
        entry = lane.line[0]
    pieces.append(lane.line)
    return np.concatenate(pieces)


def _is_inner(graph: LaneGraph, lane: Lane) -> bool:
    """Whether a lane comes from an inner junction, too."""
    return 2 <= lane.link.index <= ROADS_PER_AXIS - 2 and (
        1 <= lane.link.road_key[1] <= ROADS_PER_AXIS - 2)


def _choose(rng: np.random.Generator, graph: LaneGraph, lane: Lane) -> tuple:
    """A connector after some lane of this direction, and that lane."""
    road = graph.layout.road(lane.link.road_key)
    options = []
    for index in range(road.lanes):
        key = graph.key(lane.link.key, lane.forward, index)
        for connector in graph.after[key]:
            node = _next_node(graph, connector.target)
            if node is not None and _inside(node):
                near = abs(index - lane.index)
                weight = ((.45 if connector.turn == 0 else .55)
                          * .15**(near if connector.turn == 0 else 0))
                options.append((weight, connector, graph.lanes[key]))
    weights = np.array([w for w, *_ in options])
    pick = rng.choice(len(options), p=weights / weights.sum())
    return options[pick][1:]


def _lane_change(entry: np.ndarray, lane: Lane, target: Lane) -> np.ndarray:
    """Layout points from `entry` on `lane` to the end of `target`."""
    t = np.linspace(0, 1, 30)[:, None]
    along = lane.line[1] - entry
    blend = np.clip((t - .05) / .7, 0, 1)
    blend = blend**3 * (10 - 15 * blend + 6 * blend**2)
    return entry + t * along + blend * (target.line[1] - lane.line[1])


def ego_trajectory(rng: np.random.Generator, graph: LaneGraph, warp: Warp,
                   duration: float, anywhere: bool = False) -> Trajectory:
    """A drive of at least `duration` seconds (plus a little) in the world."""
    top_speed = rng.uniform(5.5, 9.5)
    route = plan_route(rng, graph, top_speed * (duration + 4) + 20,
                       anywhere)
    dense = resample(route)
    trajectory = drive(warp.points(dense), top_speed)
    assert trajectory.times[-1] > duration
    return trajectory
