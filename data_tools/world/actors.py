"""Vehicles, people and loose objects: what they are and how they move."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from data_tools.world import models
from data_tools.world.trajectory import Trajectory

#: category -> (mean length, width, height) in metres and relative spread.
SIZES = {
    'car': ((4.5, 1.85, 1.55), .06), 'truck': ((7.2, 2.45, 3.1), .08),
    'bus': ((11.2, 2.7, 3.3), .05), 'trailer': ((9.5, 2.5, 3.5), .08),
    'construction': ((6.0, 2.6, 3.0), .06),
    'bicycle': ((1.75, .62, 1.3), .05), 'motorcycle': ((2.1, .8, 1.45), .05),
    'pedestrian': ((.7, .66, 1.72), .07), 'cone': ((.4, .4, .9), .08),
    'barrier': ((1.9, .55, 1.0), .06),
}


@dataclass
class Actor:
    """Something with a box.

    Attributes:
        category: A key of `SIZES`.
        state: 'moving', 'stopped', 'parked', 'standing' or 'none'.
        size: Length, width, height in metres.
        rows: Its model, facing +x about the origin.
        motion: Planar pose over time; one row when still.
        base: Height it stands on, metres.
        rider: A two-wheeler is ridden.
    """

    category: str
    state: str
    size: tuple[float, float, float]
    rows: np.ndarray
    motion: Trajectory
    base: float = 0.
    rider: bool = False

    @property
    def is_still(self) -> bool:
        """Whether it never moves."""
        return len(self.motion.times) == 1

    def pose(self, time: float) -> tuple[float, float, float]:
        """World (x, y, yaw) at `time` seconds."""
        return self.motion.pose(time)


def still(x: float, y: float, yaw: float) -> Trajectory:
    """The trajectory of something that does not move."""
    return Trajectory(np.zeros(1), np.array([[x, y]], float),
                      np.array([float(yaw)]))


def draw_size(rng: np.random.Generator, category: str) -> tuple[float, float, float]:
    """Length, width, height of one of its kind, metres."""
    mean, spread = SIZES[category]
    if category == 'car' and rng.random() < .3:
        mean = (4.8, 1.95, 1.95) if rng.random() < .5 else (4.0, 1.75, 1.5)
    scale = 1 + spread * np.clip(rng.normal(size=3), -2, 2)
    length, width, height = (float(round(m * s, 3)) for m, s in
                             zip(mean, scale, strict=True))
    return length, width, height


def draw_model(rng: np.random.Generator, category: str, size: Sequence[float],
               rider: bool = False) -> np.ndarray:
    """Solids of one of a category."""
    if category == 'pedestrian':
        return models.person(rng, size)
    if category in ('bicycle', 'motorcycle'):
        return models.two_wheeler(rng, size, category == 'motorcycle', rider)
    build = {'car': models.car, 'truck': models.truck, 'bus': models.bus,
             'trailer': models.trailer, 'construction': models.excavator,
             'cone': models.cone, 'barrier': models.barrier}[category]
    return build(rng, size)


@dataclass
class Crowd:
    """Actors accepted so far; refuses those that would touch.

    Args:
        times: (T,) seconds at which contact is checked.
    """

    times: np.ndarray
    actors: list[Actor] = field(default_factory=list)
    _tracks: list = field(default_factory=list)

    def _track(self, motion: Trajectory,
               size: Sequence[float]) -> tuple[np.ndarray, float]:
        """Three discs that cover the box over time: (T, 3, 2), radius."""
        pose = np.array([motion.pose(t) for t in self.times])
        third = size[0] / 3
        offset = np.array([-third, 0, third])
        heading = np.stack((np.cos(pose[:, 2]), np.sin(pose[:, 2])), -1)
        discs = pose[:, None, :2] + offset[None, :, None] * heading[:, None]
        return discs, float(np.hypot(third / 2, size[1] / 2)) + .15

    def reserve(self, motion: Trajectory, size: Sequence[float]) -> None:
        """Keep a space-time region free without adding an actor (ego)."""
        self._tracks.append(self._track(motion, size))

    def try_add(self, actor: Actor) -> bool:
        """Add the actor unless it would touch another; whether it did."""
        discs, radius = self._track(actor.motion, actor.size)
        for other, other_radius in self._tracks:
            reach = radius + other_radius
            # Far apart throughout is the common case: test centres first.
            centre = np.abs(discs[:, 1] - other[:, 1]).max(1)
            close = np.flatnonzero(centre < reach + 18)
            if not len(close):
                continue
            gap = discs[close, :, None] - other[close, None, :]
            if (np.hypot(gap[..., 0], gap[..., 1]) < reach).any():
                return False
        self._tracks.append((discs, radius))
        self.actors.append(actor)
        return True
