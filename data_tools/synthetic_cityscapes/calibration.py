"""The camera of the synthetic vehicle, after that of Cityscapes.

Left camera behind the windscreen, 1.22 m above the road, looking down a
little; figures as in the camera files of that data set, rounded. Source:
Cordts et al., arXiv:1604.01685.
"""

import numpy as np
from pyquaternion import Quaternion

from data_tools.synthetic.sensors import (
    AHEAD,
    Calibration,
    intrinsic_matrix,
    turned,
)

FULL_SIZE = (2048, 1024)
FOCAL = (2262.5, 2265.3)
CENTRE = (1096.98, 513.14)
POSITION = (1.7, .1, 1.22)
PITCH = 2.2  # degrees, down


def camera(lean: Quaternion, size: tuple[int, int]) -> Calibration:
    """Camera of a vehicle that leans a little.

    Args:
        lean: Ego from body.
        size: Width, height of the pictures in pixels; the intrinsics are those
            of 2048 x 1024 scaled to it.
    """
    return Calibration(
        lean.rotate(np.array(POSITION)), lean * turned(AHEAD, (0, PITCH, 0)),
        intrinsic_matrix(FOCAL, CENTRE, np.array(size, float) / FULL_SIZE))
