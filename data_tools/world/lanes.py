"""Lanes and the curves that join them, in the layout plane."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_tools.world.layout import ROADS_PER_AXIS, Layout, Link

Node = tuple[int, int]  # (index among layout.along, index among layout.across)


@dataclass(frozen=True)
class Lane:
    """One lane of a link; lane 0 is next to the road's centre."""

    key: str
    link: Link
    forward: bool
    index: int
    line: np.ndarray  # (2, 2) layout points in the direction of travel
    width: float


@dataclass(frozen=True)
class Connector:
    """A way from a lane to another across an intersection.

    `turn` is 0 straight on, 1 left, 3 right (quarter turns).
    """

    key: str
    node: Node
    source: str
    target: str
    turn: int
    line: np.ndarray  # (N, 2) layout points


def turn_curve(start: Sequence[float] | np.ndarray, end: Sequence[float] | np.ndarray,
               heading_start: float, heading_end: float) -> np.ndarray:
    """Layout points of a smooth curve between two poses.

    Parallel headings give a straight line (or an S), others a quarter of an
    ellipse by a cubic Bezier curve.
    """
    p, q = np.asarray(start, float), np.asarray(end, float)
    a = np.array([np.cos(heading_start), np.sin(heading_start)])
    b = np.array([np.cos(heading_end), np.sin(heading_end)])
    t = np.linspace(0, 1, 25)[:, None]
    if abs(a[0] * b[1] - a[1] * b[0]) < 1e-6:
        reach = .5 * np.linalg.norm(q - p)
        c1, c2 = p + a * reach, q - b * reach
    else:
        along = np.linalg.solve(np.stack((a, b), 1), q - p)
        c1, c2 = p + .5523 * along[0] * a, q - .5523 * along[1] * b
    return ((1 - t)**3 * p + 3 * (1 - t)**2 * t * c1
            + 3 * (1 - t) * t**2 * c2 + t**3 * q)


class LaneGraph:
    """Lanes by key, and connectors by the lane that they leave.

    Args:
        layout: The road plan.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.links = {link.key: link for link in layout.links}
        self.lanes: dict[str, Lane] = {}
        self.after: dict[str, list[Connector]] = {}
        for link in layout.links:
            for forward in (True, False):
                for index in range(layout.road(link.road_key).lanes):
                    self._add_lane(link, forward, index)
        self.connectors = [c for i in range(ROADS_PER_AXIS)
                           for j in range(ROADS_PER_AXIS)
                           for c in self._connect((i, j))]
        for connector in self.connectors:
            self.after.setdefault(connector.source, []).append(connector)

    @staticmethod
    def key(link_key: str, forward: bool, index: int) -> str:
        """Key of a lane."""
        return f'{link_key}.{"fwd" if forward else "bwd"}{index}'

    def heading(self, lane: Lane) -> float:
        """Layout heading of a lane, radians."""
        return self.layout.road(lane.link.road_key).heading(lane.forward)

    def _add_lane(self, link: Link, forward: bool, index: int) -> None:
        road = self.layout.road(link.road_key)
        d = self.layout.lane_offset(road, forward, index)
        ends = [link.start, link.end] if forward else [link.end, link.start]
        key = self.key(link.key, forward, index)
        self.lanes[key] = Lane(key, link, forward, index,
                               road.point(ends, [d, d]), road.lane_width)

    @staticmethod
    def _arms(node: Node) -> tuple[dict, dict]:
        """Incoming and outgoing (link key, forward) by quarter heading."""
        i, j = node
        incoming = {0: (f'link0.{j}.{i}', True), 1: (f'link1.{i}.{j}', True),
                    2: (f'link0.{j}.{i + 1}', False),
                    3: (f'link1.{i}.{j + 1}', False)}
        outgoing = {0: (f'link0.{j}.{i + 1}', True),
                    1: (f'link1.{i}.{j + 1}', True),
                    2: (f'link0.{j}.{i}', False), 3: (f'link1.{i}.{j}', False)}
        return incoming, outgoing

    def _lane_pairs(self, turn: int, n_in: int, n_out: int) -> list[tuple[int, int]]:
        """Which lane may lead to which: (index in, index out) pairs."""
        if turn == 0:
            return [(k, min(k, n_out - 1)) for k in range(n_in)]
        kerbside = (turn == 3) == (self.layout.side > 0)
        return [(n_in - 1, n_out - 1)] if kerbside else [(0, 0)]

    def _connect(self, node: Node) -> list[Connector]:
        incoming, outgoing = self._arms(node)
        made = []
        for q_in, (link_in, forward_in) in incoming.items():
            for turn in (0, 1, 3):
                link_out, forward_out = outgoing[(q_in + turn) % 4]
                n_in, n_out = (
                    self.layout.road(self.links[k].road_key).lanes
                    for k in (link_in, link_out))
                for a, b in self._lane_pairs(turn, n_in, n_out):
                    source = self.lanes[self.key(link_in, forward_in, a)]
                    target = self.lanes[self.key(link_out, forward_out, b)]
                    made.append(Connector(
                        f'{source.key}-{target.key}', node, source.key,
                        target.key, turn,
                        turn_curve(source.line[1], target.line[0],
                                   self.heading(source),
                                   self.heading(target))))
        return made
