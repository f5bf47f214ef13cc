"""Sensors of the synthetic vehicle, after those of KITTI's, and their files.

Left colour camera 1.65 m and 64-beam LiDAR 1.73 m above the road, the camera
27 cm ahead of the LiDAR. Figures are those of the recordings of 2011_09_26,
after rectification. Source: Geiger et al., Vision meets Robotics: The KITTI
Dataset, IJRR 2013.
"""

from pathlib import Path

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.sensors import AHEAD, Calibration, intrinsic_matrix
from data_tools.world import BeamPattern

FULL_SIZE = (1242, 375)
FOCAL = 721.5377
CENTRE = (609.5593, 172.854)
CAMERA = (1.12, .06, 1.65)  # camera 2; camera 0 lies 6 cm to its right
LIDAR = (.85, 0., 1.73)
_BASE = (1.12, 0., 1.65)    # camera 0


def rig(lean: Quaternion, size: tuple[int, int],
        ) -> tuple[Calibration, Calibration]:
    """Camera 2 and LiDAR of a vehicle that leans a little.

    Args:
        lean: Ego from body; turns both sensors alike.
        size: Width, height of the pictures in pixels; the intrinsics are those
            of 1242 x 375 scaled to it.
    """
    return (Calibration(lean.rotate(np.array(CAMERA)),
                        lean * Quaternion(matrix=AHEAD), intrinsic(size)),
            Calibration(lean.rotate(np.array(LIDAR)), lean))


def intrinsic(size: tuple[int, int]) -> np.ndarray:
    """Intrinsics (3, 3) of camera 2 for pictures of (width, height) pixels."""
    return intrinsic_matrix((FOCAL, FOCAL), CENTRE,
                            np.array(size, float) / FULL_SIZE)


def beam_pattern(beams: int, azimuths: int,
                 size: tuple[int, int]) -> BeamPattern:
    """The beams of a 64-beam LiDAR, dense above and sparser below.

    Args:
        beams, azimuths: Rings and firings per turn; where 0, those of the real
            sensor in proportion to the picture.
        size: Width, height of the picture in pixels.
    """
    beams = beams or max(2, round(64 * size[1] / FULL_SIZE[1]))
    azimuths = azimuths or max(16, round(2083 * size[0] / FULL_SIZE[0]))
    # 32 beams a third of a degree apart, the 32 below them half a degree.
    real = np.concatenate((np.linspace(-24.33, -8.83, 32),
                           np.linspace(-8.33, 2., 32)))
    elevations = np.interp(np.linspace(0, 63, beams), np.arange(64), real)
    steps = np.arange(azimuths) * (360 / azimuths)
    return BeamPattern(np.radians(elevations), np.radians(180. - steps),
                       range_noise=.02)


def write_calibration(folder: Path, size: tuple[int, int]) -> None:
    """Write a day's calib_cam_to_cam.txt and calib_velo_to_cam.txt.

    Args:
        folder: The day's folder.
        size: Width, height of the pictures in pixels.
    """
    projection = np.zeros((3, 4))
    projection[:, :3] = intrinsic(size)
    # Camera 0 is the reference; camera 2 sees its points further right.
    projection[0, 3] = projection[0, 0] * (CAMERA[1] - _BASE[1])
    offset = AHEAD.T @ (np.array(LIDAR) - _BASE)
    head = {'calib_time': '01-Jan-2011 00:00:00'}
    _write(folder / 'calib_cam_to_cam.txt', {
        **head, 'S_rect_00': size, 'R_rect_00': np.eye(3),
        'P_rect_00': np.hstack((intrinsic(size), np.zeros((3, 1)))),
        'S_rect_02': size, 'R_rect_02': np.eye(3), 'P_rect_02': projection})
    _write(folder / 'calib_velo_to_cam.txt', {
        **head, 'R': AHEAD.T, 'T': offset})


def _write(path: Path, values: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'{key}: ' + (value if isinstance(value, str) else ' '.join(
        f'{number:.6e}' for number in np.ravel(value)))
             for key, value in values.items()]
    path.write_text('\n'.join(lines) + '\n')
