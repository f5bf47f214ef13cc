"""Annotated depth maps: LiDAR sweeps around a frame, as its camera sees them.

KITTI's annotated maps accumulate 11 sweeps with the vehicle's own motion and
drop returns that disagree with a stereo reconstruction, which removes what
the camera cannot see, what has moved, and much else: 16 % of the pixels
remain. The rendered depth stands in for that reconstruction here; it loses
less, so that fewer sweeps give that density. Source: Uhrig et al., Sparsity
Invariant CNNs, 3DV 2017, arXiv:1708.06500.
"""

import numpy as np

from data_tools.synthetic.sensors import Calibration, noise_seed, scan
from data_tools.world import BeamPattern, World

SWEEP_PERIOD = 0.1
TOLERANCE = 0.05  # relative disagreement with the rendered depth
FACTOR = 256      # stored value of one metre


def accumulate(world: World, time: float, lidar: Calibration, pattern: BeamPattern,
               sweeps: int, seed: int) -> np.ndarray:
    """World points (N, 3) of the sweeps around a frame, metres.

    Things that move are taken from the frame's own sweep alone.

    Args:
        world: The region.
        time: Time of the frame, seconds.
        lidar: The sensor.
        pattern: Its beams.
        sweeps: How many, `SWEEP_PERIOD` apart, the frame's in the middle.
        seed: Names the frame.
    """
    # The last entry stands for what is no actor (index -1).
    moves = np.array([not actor.is_still for actor in world.actors] + [False])
    points = []
    for n in range(-(sweeps // 2), sweeps // 2 + 1):
        when = time + n * SWEEP_PERIOD
        sweep = scan(world, when, lidar, pattern, noise_seed(seed, n))
        local = sweep.points if n == 0 else sweep.points[
            ~moves[sweep.thing]]
        pose = world.ego_pose(when) @ lidar.ego_from_sensor()
        points.append(local @ pose[:3, :3].T + pose[:3, 3])
    return np.concatenate(points)


def project(points: np.ndarray, world_from_camera: np.ndarray,
            intrinsic: np.ndarray, rendered: np.ndarray) -> np.ndarray:
    """Sparse depth of the points that the camera sees.

    Args:
        points: World, metres.
        world_from_camera: Camera x right, y down, z ahead.
        intrinsic: Pixels.
        rendered: Depth of the picture, metres; points that differ from it by
            more than `TOLERANCE` are hidden or gone.

    Returns:
        (H, W) float64 metres along the optical axis, 0 where there is none;
        the nearest where several points meet.
    """
    height, width = rendered.shape
    local = (points - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    local = local[local[:, 2] > .5]
    depth = local[:, 2]
    pixel = np.rint(local @ intrinsic.T / depth[:, None]).astype(np.int64)
    u, v = pixel[:, 0], pixel[:, 1]
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v, depth = u[inside], v[inside], depth[inside]
    truth = rendered[v, u]
    seen = np.abs(depth - truth) < TOLERANCE * truth  # never in the sky: inf
    result = np.full((height, width), np.inf)
    np.minimum.at(result, (v[seen], u[seen]), depth[seen])
    return np.where(np.isinf(result), 0., result)


def encode(depth: np.ndarray) -> np.ndarray:
    """Depth in metres as uint16, metres x 256; 0 stays 0."""
    return np.clip(np.rint(depth * FACTOR), 0, 65535).astype(np.uint16)
