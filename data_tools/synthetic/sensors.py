"""Sensors on the ego vehicle: where they sit, what they see.

Ego frame: x ahead, y left, z up, origin on the ground under the rear axle.
Camera frame: x right, y down, z ahead.
"""
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyquaternion import Quaternion

from data_tools.world import BeamPattern, Shot, Sweep, World

#: Camera axes as columns in a frame x ahead, y left, z up.
AHEAD = np.array([[0., 0., 1.], [-1., 0., 0.], [0., -1., 0.]])


@dataclass(frozen=True)
class Calibration:
    """Pose and intrinsics of one sensor.

    Attributes:
        translation: (3,) metres, ego frame.
        rotation: Ego from sensor.
        intrinsic: (3, 3) pixels, cameras only.
    """

    translation: np.ndarray
    rotation: Quaternion
    intrinsic: np.ndarray | None = None

    def ego_from_sensor(self) -> np.ndarray:
        """The pose as a 4x4 matrix."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation.rotation_matrix
        pose[:3, 3] = self.translation
        return pose


def turned(matrix: np.ndarray, degrees: Sequence[float] | np.ndarray) -> Quaternion:
    """Quaternion of a rotation matrix followed by small turns about x, y, z."""
    small = Quaternion()
    for axis, angle in zip(np.eye(3), degrees, strict=True):
        small = Quaternion(axis=axis, degrees=float(angle)) * small
    return (small * Quaternion(matrix=matrix)).normalised


def intrinsic_matrix(focal: tuple[float, float], centre: tuple[float, float],
                     scale: Sequence[float] | np.ndarray) -> np.ndarray:
    """Intrinsics (3, 3) in pixels.

    Args:
        focal: Along x and y at full size, pixels.
        centre: Principal point at full size, pixels.
        scale: Picture over full size, along x and y.
    """
    return np.array([[focal[0] * scale[0], 0., centre[0] * scale[0]],
                     [0., focal[1] * scale[1], centre[1] * scale[1]],
                     [0., 0., 1.]])


def noise_seed(*parts: object) -> int:
    """Seed of one exposure's noise, from whatever names the exposure."""
    return zlib.crc32('|'.join(map(str, parts)).encode()) & 0x3FFFFFFF


def photograph(world: World, time: float, sensor: Calibration,
               size: tuple[int, int], seed: int) -> Shot:
    """Picture of a camera on the ego vehicle."""
    assert sensor.intrinsic is not None, 'a camera has intrinsics'
    pose = world.ego_pose(time) @ sensor.ego_from_sensor()
    return world.photograph(time, sensor.intrinsic, size, pose, seed)


def scan(world: World, time: float, sensor: Calibration,
         pattern: BeamPattern, seed: int) -> Sweep:
    """Sweep of a LiDAR on the ego vehicle, in the sensor's frame."""
    pose = world.ego_pose(time) @ sensor.ego_from_sensor()
    return world.scan(time, pattern, pose, seed)
