"""Sensors of the synthetic vehicle, after those of nuScenes' vehicles.

The figures (positions, focal lengths, time offsets) are those of a published
nuScenes key frame, rounded; every log moves them a little, as real logs do.
Ego frame: x ahead, y left, z up, origin on the ground under the rear axle.
"""

from dataclasses import dataclass

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.sensors import (
    AHEAD,
    Calibration,
    intrinsic_matrix,
    turned,
)
from data_tools.world import BeamPattern

FULL_SIZE = (1600, 900)
LIDAR = 'LIDAR_TOP'


@dataclass(frozen=True)
class CameraMount:
    """A camera at full size: position (m), yaw (degrees), pixels, seconds."""

    position: tuple[float, float, float]
    yaw: float
    focal: float
    centre: tuple[float, float]
    delay: float  # of its exposure after the LiDAR's time stamp


CAMERAS = {
    'CAM_FRONT': CameraMount((1.70, .016, 1.51), 0., 1266.4, (816.3, 491.5),
                             -.0355),
    'CAM_FRONT_RIGHT': CameraMount((1.55, -.493, 1.50), -56.4, 1260.8,
                                   (808., 495.3), -.0276),
    'CAM_BACK_RIGHT': CameraMount((1.01, -.481, 1.56), -110.8, 1259.5,
                                  (807.2, 501.2), -.0201),
    'CAM_BACK': CameraMount((.028, .003, 1.58), 180., 809.2, (829.2, 481.8),
                            -.0104),
    'CAM_BACK_LEFT': CameraMount((1.036, .485, 1.59), 108.6, 1256.7,
                                 (792.1, 492.8), -.0005),
    'CAM_FRONT_LEFT': CameraMount((1.524, .495, 1.51), 55.2, 1272.6,
                                  (826.6, 479.8), -.0431),
}
LIDAR_POSITION = (.944, 0., 1.840)


def calibrate(rng: np.random.Generator,
              size: tuple[int, int]) -> dict[str, Calibration]:
    """Calibration of every channel for one log.

    Args:
        rng: Source of the log's small deviations.
        size: Width, height of the pictures in pixels; the intrinsics are those
            of 1600 x 900 scaled to it.
    """
    scale = np.array(size, float) / FULL_SIZE
    rig = {}
    for channel, mount in CAMERAS.items():
        yaw = Quaternion(axis=(0, 0, 1), degrees=mount.yaw).rotation_matrix
        focal = mount.focal * rng.uniform(.997, 1.003)
        centre = np.array(mount.centre) + rng.normal(0, 3, 2)
        intrinsic = intrinsic_matrix((focal, focal), centre, scale)
        rig[channel] = Calibration(
            np.array(mount.position) + rng.normal(0, .008, 3),
            turned(yaw @ AHEAD, rng.normal(0, .45, 3)), intrinsic)
    # LiDAR: x right, y ahead.
    right = Quaternion(axis=(0, 0, 1), degrees=-90).rotation_matrix
    rig[LIDAR] = Calibration(
        np.array(LIDAR_POSITION) + rng.normal(0, .005, 3),
        turned(right, rng.normal(0, (.3, .6, .2), 3)))
    return rig


def beam_pattern(beams: int, azimuths: int) -> BeamPattern:
    """The beams of a 32-beam LiDAR, or evenly fewer of them."""
    elevations = np.radians(np.linspace(-30.67, 10.67, beams))
    steps = np.arange(azimuths) * (360 / azimuths)
    return BeamPattern(elevations, np.radians(-174.0 - steps))
