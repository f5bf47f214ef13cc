"""Sensors of a small delivery vehicle: four cameras, one LiDAR ahead of them.

Ego frame: x ahead, y left, z up, origin on the ground under the rear axle.
"""

from dataclasses import dataclass

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.sensors import AHEAD, Calibration, intrinsic_matrix
from data_tools.world import BeamPattern


@dataclass(frozen=True)
class CameraMount:
    """A camera: position (m), yaw and pitch down (degrees), field of view, size.

    Attributes:
        view: Horizontal, degrees.
        share: Of its picture's size in the front camera's.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    view: float
    share: float


CAMERAS = {'front': CameraMount((1.9, 0., 1.5), 0., 4., 80., 1.),
           'left': CameraMount((1.2, .6, 1.6), 90., 12., 100., .75),
           'right': CameraMount((1.2, -.6, 1.6), -90., 12., 100., .75),
           'back': CameraMount((-.7, 0., 1.5), 180., 8., 90., .75)}
LIDAR_POSITION = (2.1, .3, 1.2)
LIDAR_YAW = 20.  # it need not look where the vehicle drives


def camera(name: str, size: tuple[int, int]) -> tuple[Calibration, tuple[int, int]]:
    """Calibration and picture size of a camera.

    Args:
        name: One of `CAMERAS`.
        size: Width, height of the front camera's picture, pixels.
    """
    mount = CAMERAS[name]
    width, height = (round(mount.share * length) for length in size)
    focal = width / 2 / np.tan(np.radians(mount.view / 2))
    turn = (Quaternion(axis=(0, 0, 1), degrees=mount.yaw)
            * Quaternion(axis=(0, 1, 0), degrees=mount.pitch)
            * Quaternion(matrix=AHEAD))
    return Calibration(np.array(mount.position), turn, intrinsic_matrix(
        (focal, focal), (width / 2, height / 2), (1., 1.))), (width, height)


def lidar() -> Calibration:
    """Calibration of the LiDAR."""
    return Calibration(np.array(LIDAR_POSITION),
                       Quaternion(axis=(0, 0, 1), degrees=LIDAR_YAW))


def beam_pattern(beams: int, azimuths: int) -> BeamPattern:
    """Beams from 25 degrees below to 8 above the horizon."""
    return BeamPattern(np.radians(np.linspace(-25., 8., beams)),
                       np.radians(np.arange(azimuths) * (360 / azimuths)))
