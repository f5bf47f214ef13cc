"""Boxes of one scene: what is seen, how well, and the chains between them."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic_nuscenes import taxonomy
from data_tools.synthetic_nuscenes.scenes import SceneSpec
from data_tools.synthetic_nuscenes.tokens import token
from data_tools.world import Shot, Sweep, World

LEAST_PIXELS = 20  # seen by cameras alone, a thing needs this many


def points_in_box(points: np.ndarray, centre: Sequence[float] | np.ndarray,
                  size: Sequence[float], yaw: float) -> np.ndarray:
    """Mask (N,) of world points in a box of (length, width, height)."""
    delta = points - np.asarray(centre)
    c, s = np.cos(yaw), np.sin(yaw)
    local = np.stack((c * delta[:, 0] + s * delta[:, 1],
                      -s * delta[:, 0] + c * delta[:, 1], delta[:, 2]), 1)
    return (np.abs(local) <= .5 * np.asarray(size)).all(1)


class Annotator:
    """Collects a scene's annotations key frame by key frame.

    Args:
        world: The scene's region.
        name: Makes tokens of this scene from parts.
        spec: The scene.
    """

    def __init__(self, world: World, name: Callable[..., str], spec: SceneSpec) -> None:
        self.world, self.name, self.spec = world, name, spec
        self._found: dict[int, list[dict]] = {}

    def add(self, sample: int, time: float, sweep: Sweep,
            world_from_lidar: np.ndarray, shots: list[Shot]) -> None:
        """Annotate a key frame.

        A thing is annotated where at least one LiDAR point lies in its box
        or the cameras see `LEAST_PIXELS` of it.
        """
        points = (sweep.points @ world_from_lidar[:3, :3].T
                  + world_from_lidar[:3, 3])
        count = len(self.world.actors)
        seen: Any = sum(np.bincount(s.thing[s.thing >= 0], minlength=count)
                   for s in shots)
        whole: Any = sum(s.footprint for s in shots)
        for thing, actor in enumerate(self.world.actors):
            x, y, yaw = actor.pose(time)
            centre = (x, y, actor.base + actor.size[2] / 2)
            near = np.hypot(points[:, 0] - x, points[:, 1] - y) < max(
                actor.size)
            hits = int(points_in_box(points[near], centre, actor.size,
                                     yaw).sum())
            if not hits and seen[thing] < LEAST_PIXELS:
                continue
            share = seen[thing] / whole[thing] if whole[thing] else 0.
            attribute = taxonomy.attribute_of(actor)
            length, width, height = actor.size
            turn = Quaternion(axis=(0, 0, 1), radians=yaw)
            self._found.setdefault(thing, []).append({
                'token': self.name('annotation', thing, sample),
                'sample_token': self.name('sample', sample),
                'instance_token': self.name('instance', thing),
                'visibility_token': taxonomy.visibility_of(share),
                'attribute_tokens': [token('attribute', attribute)] if (
                    attribute) else [],
                'translation': [float(v) for v in centre],
                'size': [width, length, height],
                'rotation': turn.elements.tolist(), 'prev': '', 'next': '',
                'num_lidar_pts': hits, 'num_radar_pts': 0})

    def records(self) -> tuple[list[dict], list[dict]]:
        """Chained sample_annotation and instance records."""
        annotations, instances = [], []
        for thing, chain in sorted(self._found.items()):
            for before, after in zip(chain[:-1], chain[1:], strict=True):
                before['next'], after['prev'] = after['token'], before['token']
            annotations += chain
            category = taxonomy.category_of(self.world.actors[thing])
            instances.append({
                'token': self.name('instance', thing),
                'category_token': token('category', category),
                'nbr_annotations': len(chain),
                'first_annotation_token': chain[0]['token'],
                'last_annotation_token': chain[-1]['token']})
        return annotations, instances
