"""The LiDAR frame: points moved into it, and how a sample augmented it."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

FLIPS = {'HF': np.diag([1., -1., 1., 1.]), 'VF': np.diag([-1., 1., 1., 1.])}
"""mmdet3d's flips in the LiDAR frame: "horizontal" negates y, "vertical" x."""

_ADVICE = ('Augment with GlobalRotScaleTrans and RandomFlip3D of mmdet3d, each '
           'once; or with both of its BEVFusion project; or with the former and '
           'BEVFusionRandomFlip3D behind it; or with both of ddp')


def move_to_lidar(points: np.ndarray, lidar2sensor: ArrayLike) -> None:
    """Move points from a sensor's frame into that of the LiDAR, in place.

    Args:
        points: (n, 3 or more), x, y, z first, metres.
        lidar2sensor: (4, 4), from the LiDAR's frame to the sensor's.
    """
    lidar_from_sensor = np.linalg.inv(np.asarray(lidar2sensor, dtype=float))
    points[:, :3] = (points[:, :3] @ lidar_from_sensor[:3, :3].T
                     + lidar_from_sensor[:3, 3])


def lidar_augmentation(results: dict) -> np.ndarray:
    """Return the (4, 4) from the LiDAR frame of the file to that of the points.

    Four kinds of steps are understood, by what they leave in a sample:

    ================================  ======================================
    mmdet3d GlobalRotScaleTrans       letters R, S, T in
    and RandomFlip3D, in any order    transformation_3d_flow; pcd_rotation,
                                      pcd_scale_factor, pcd_trans
    BEVFusionGlobalRotScaleTrans,     letters R, T, S and lidar_aug_matrix
    BEVFusionRandomFlip3D, in any
    order; or RandomFlip3D with the
    former, in any order
    mmdet3d GlobalRotScaleTrans,      letters R, S, T and, as a later key
    then BEVFusionRandomFlip3D or     than pcd_rotation, lidar_aug_matrix
    ddp.RandomFlip3D                  with nothing but flips
    ddp.GlobalRotScaleTrans and       lidar_aug_matrix alone
    ddp.RandomFlip3D, in any order
    ================================  ======================================

    mmdet3d keeps only the last rotation, scale and translation, and writes no
    order beside lidar_aug_matrix. So repeated steps and other mixtures of kinds
    cannot be known. The order of the keys says that all flips of the matrix came
    behind the only rotation; flips on both sides of it look like flips before.
    Nor can RandomFlip3D with flip_box3d=False be known, which notes flips that it
    does not make: do not use it.

    Args:
        results: A sample in the pipeline.

    Returns:
        float64. The identity where nothing was augmented.

    Raises:
        ValueError: the augmentation cannot be known; names the key and says
            what to use instead.
    """
    matrix = results.get('lidar_aug_matrix')
    if matrix is not None:
        matrix = np.array(matrix, float)
        if matrix.shape != (4, 4):
            raise ValueError('lidar_aug_matrix must be (4, 4), got shape '
                             f'{matrix.shape}')
    flow = results.get('transformation_3d_flow')
    if flow is None:
        if matrix is None:
            _require_nothing_done(results)
            return np.eye(4)
        return matrix
    flow = list(flow)
    noted = _follow(flow, results)
    if matrix is None:
        return noted
    flips = [np.diag([x, y, 1., 1.]) for x in (1., -1.) for y in (1., -1.)]
    if 'T' not in flow or flow.index('T') > flow.index('S'):
        keys = list(results)
        if (flow == ['R', 'S', 'T'] and any(_equal(matrix, flip) for flip in flips)
                and keys.index('pcd_rotation') < keys.index('lidar_aug_matrix')):
            return matrix @ noted
        raise ValueError(
            f'the sample has lidar_aug_matrix and transformation_3d_flow {flow}, so '
            f'steps of two kinds were mixed and their order is lost. {_ADVICE}')
    if any(letter in FLIPS for letter in flow):
        # mmdet3d's flips beside BEVFusion's matrix, which holds R, T, S alone.
        expected = _follow([name for name in flow if name not in FLIPS], results)
        if not _equal(matrix, expected):
            raise ValueError(
                'lidar_aug_matrix holds more than the rotation, translation and '
                f'scale of transformation_3d_flow {flow}, so steps of two kinds '
                f'flipped. {_ADVICE}')
        return noted
    if not any(_equal(matrix, after @ noted @ before)
               for before in flips for after in flips):
        raise ValueError(
            'lidar_aug_matrix is not what pcd_rotation, pcd_trans and '
            f'pcd_scale_factor say, flips aside:\n{matrix}\n{noted}\n{_ADVICE}')
    return matrix


def _follow(flow: Sequence[str], results: dict) -> np.ndarray:
    """Multiply the steps of a flow, the first one innermost."""
    repeated = sorted({name for name in flow
                       if name not in FLIPS and flow.count(name) > 1})
    if repeated:
        raise ValueError(
            f'transformation_3d_flow is {flow}: {", ".join(repeated)} happened more '
            f'than once, and only the last value is kept. {_ADVICE}')
    total = np.eye(4)
    for name in flow:
        total = _step(name, results, flow) @ total
    return total


def _step(name: str, results: dict, flow: Sequence[str]) -> np.ndarray:
    if name in FLIPS:
        return FLIPS[name]
    key = {'R': 'pcd_rotation', 'S': 'pcd_scale_factor', 'T': 'pcd_trans'}.get(name)
    if key is None:
        raise ValueError(f'transformation_3d_flow is {flow}: the step {name!r} is '
                         f'unknown, expected R, S, T, HF or VF. {_ADVICE}')
    if results.get(key) is None:
        raise ValueError(f'transformation_3d_flow is {flow}, but the sample has no '
                         f'{key} for its {name}. {_ADVICE}')
    value, step = np.asarray(results[key], float), np.eye(4)
    if name == 'R':
        step[:3, :3] = value.T  # mmdet3d multiplies points from the left
    elif name == 'S':
        step[:3, :3] *= value
    else:
        step[:3, 3] = value
    return step


def _require_nothing_done(results: dict) -> None:
    """Raise where an augmentation has left values, but no order."""
    neutral: dict[str, Any] = {
        'pcd_rotation': np.eye(3), 'pcd_scale_factor': 1., 'pcd_trans': 0.,
        'pcd_horizontal_flip': False, 'pcd_vertical_flip': False}
    done = [key for key, value in neutral.items() if results.get(key) is not None
            and not np.allclose(np.asarray(results[key], float), value)]
    if done:
        raise ValueError(
            f'the sample has {", ".join(done)} but neither transformation_3d_flow '
            f'nor lidar_aug_matrix, so the order is not known. {_ADVICE}')


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=0, atol=1e-4)
