"""Kinds of arrays that place sensors: poses, camera matrices, quaternions."""
from __future__ import annotations

import numpy as np

from .value_kinds import FARTHEST, Array


class Pose(Array):
    """A rigid 4x4 transform: rotation without mirror or scale, translation.

    Args:
        reach: Metres; the greatest translation along an axis.
    """

    def __init__(self, reach: float = FARTHEST) -> None:
        super().__init__((4, 4), least=-max(reach, 1.01),
                         greatest=max(reach, 1.01))
        self.expected = ('4x4 finite numbers: a rotation (to 0.001), a translation '
                         f'of at most {reach:g} m, last row 0, 0, 0, 1')

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether the (n, 4, 4) are rigid."""
        turns = stack[:, :3, :3].astype(float)
        gram = turns.transpose(0, 2, 1) @ turns
        volume = np.einsum('ni,ni->n', turns[:, :, 2],
                           np.cross(turns[:, :, 0], turns[:, :, 1]))
        return (np.abs(gram - np.eye(3)).max(initial=0) <= 1e-3
                and volume.min(initial=1) > 0
                and np.abs(stack[:, 3] - [0, 0, 0, 1]).max(initial=0) <= 1e-6)


class Intrinsics(Array):
    """A camera matrix in pixels, 3x3 (or padded to 3x4 or 4x4)."""

    MOST = 1e6

    def __init__(self) -> None:
        super().__init__((3, 3), (3, 4), (4, 4), least=-self.MOST,
                         greatest=self.MOST)
        self.expected = ('3x3 finite numbers: focal lengths above 0 and at most '
                         f'{self.MOST:g} pixels, third row 0, 0, 1')

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether focal lengths are positive and rows as they must be."""
        core = stack[:, :3, :3]
        return ((core[:, [0, 1], [0, 1]] > 0).all()
                and np.abs(core[:, 2] - [0, 0, 1]).max(initial=0) <= 1e-6)


class Rotation(Array):
    """A unit quaternion w, x, y, z."""

    def __init__(self) -> None:
        super().__init__((4, ), least=-1.01, greatest=1.01)
        self.expected = '4 finite numbers, a quaternion of length 1 (to 0.01)'

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether their length is 1."""
        return np.abs(np.linalg.norm(stack, axis=1) - 1).max(initial=0) <= .01
