"""Where the cameras of a frame are, in the ways that users have it."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ddp_perception.cli.errors import UserError
from ddp_perception.datasets.bev_dataset import EGO_FROM_BEV
from ddp_perception.datasets.geometry_kinds import Intrinsics, Pose


@dataclass(frozen=True)
class Calibration:
    """Cameras and LiDAR of a frame.

    The *LiDAR frame* is what a model of nuScenes predicts in: that of the points, x to
    the right, y forward, z up. A model of a `ddp.BEVDataset` predicts in the *BEV
    frame* of the same axes with the origin of the vehicle; that takes its place here.

    Args:
        cam2img: Per camera, (3, 3) or (4, 4), from the camera's x right, y down, z
            forward in metres to pixels of the image as it is given.
        lidar2cam: Per camera, (4, 4), from the LiDAR frame to the camera's.
        lidar2sensor: (4, 4), from the LiDAR frame to that of the points, where these
            differ.

    Raises:
        UserError: a matrix has another shape, is not finite, or is no camera matrix
            or no rotation and translation, or the cameras of the two differ; names
            them.
    """

    cam2img: Mapping[str, ArrayLike] = field(default_factory=dict)
    lidar2cam: Mapping[str, ArrayLike] = field(default_factory=dict)
    lidar2sensor: ArrayLike | None = None

    def __post_init__(self) -> None:
        """Check the matrices and keep them as float64."""
        if self.cam2img.keys() != self.lidar2cam.keys():
            raise UserError(f'cam2img is of the cameras {", ".join(self.cam2img)}, '
                            f'lidar2cam of {", ".join(self.lidar2cam)}')
        for key, check in (('cam2img', _intrinsics), ('lidar2cam', checked_pose)):
            object.__setattr__(self, key, {
                name: check(value, f'{key} of {name}')
                for name, value in getattr(self, key).items()})
        if self.lidar2sensor is not None:
            object.__setattr__(self, 'lidar2sensor',
                               checked_pose(self.lidar2sensor, 'lidar2sensor'))

    @classmethod
    def of(cls, record: Calibration | Mapping[str, Any], vehicle_frame: bool = False
           ) -> Calibration:
        """Return the calibration that a record holds.

        Args:
            record: One of
                a calibration itself;
                a frame of mmdet3d's info files (version 2), or its `images` alone:
                ``{camera: dict(cam2img=..., lidar2cam=...)}``;
                a frame of docs/own_data.md, or its fields `cameras` and `lidar` alone:
                ``dict(cameras={camera: dict(intrinsics=..., sensor2ego=...)},
                lidar=dict(sensor2ego=...))``, of a vehicle frame with x forward, y
                left, z up.
            vehicle_frame: The model predicts in the BEV frame of the vehicle; matters
                for the last kind.

        Raises:
            UserError: it is of another kind, or a matrix is missing or wrong.
        """
        if isinstance(record, cls):
            return record
        if not isinstance(record, Mapping):
            raise UserError('calibration must be a Calibration or a dictionary, got '
                            f'{type(record).__name__}')
        if 'cameras' in record or 'lidar' in record:
            return cls._of_vehicle(record, vehicle_frame)
        cameras = record.get('images', {} if 'lidar_points' in record else record)
        sensor = record.get('lidar_points', {}).get('lidar2sensor')
        return cls(_column(cameras, 'cam2img'), _column(cameras, 'lidar2cam'), sensor)

    @classmethod
    def _of_vehicle(cls, record: Mapping[str, Any], vehicle_frame: bool) -> Calibration:
        """Return that of sensors on a vehicle, all of whose poses are known."""
        cameras, lidar = record.get('cameras') or {}, record.get('lidar')
        lidar2ego = None if lidar is None else checked_pose(
            _column({'lidar': lidar}, 'sensor2ego')['lidar'], 'sensor2ego of the lidar')
        if vehicle_frame:
            origin, sensor = EGO_FROM_BEV, None if lidar2ego is None else (
                np.linalg.inv(lidar2ego) @ EGO_FROM_BEV)
        elif lidar2ego is None:
            raise UserError('the model predicts in the frame of a LiDAR, so '
                            'calibration must have lidar.sensor2ego')
        else:
            origin, sensor = lidar2ego, None
        poses = _column(cameras, 'sensor2ego')
        return cls(_column(cameras, 'intrinsics'),
                   {name: np.linalg.inv(_camera_pose(record, name, pose)) @ origin
                    for name, pose in poses.items()}, sensor)


def _camera_pose(record: Mapping[str, Any], name: str, pose: ArrayLike) -> np.ndarray:
    """Return (4, 4) from a camera to the vehicle at the time of the frame."""
    matrix = checked_pose(pose, f'sensor2ego of {name}')
    then = record['cameras'][name].get('ego2global')
    if then is None:
        return matrix
    if record.get('ego2global') is None:
        raise UserError(f'camera {name} has an ego2global of its own, so calibration '
                        'must have the ego2global of the frame')
    now = checked_pose(record['ego2global'], 'ego2global')
    return np.linalg.inv(now) @ checked_pose(then, f'ego2global of {name}') @ matrix


def _column(records: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return one field of each record."""
    lacking = [name for name, record in records.items()
               if not isinstance(record, Mapping) or record.get(key) is None]
    if lacking:
        raise UserError(f'calibration of {lacking[0]} must have {key}, got '
                        f'{_shown(records[lacking[0]])}')
    return {name: record[key] for name, record in records.items()}


def _shown(record: Any) -> str:
    return ', '.join(record) if isinstance(record, Mapping) else type(record).__name__


def checked_pose(value: ArrayLike, name: str) -> np.ndarray:
    """Return (4, 4) float64 of a rotation and a translation.

    Args:
        value: The matrix.
        name: It is called in messages.

    Raises:
        UserError: it is something else.
    """
    matrix = _matrix(value, name, ((4, 4), ))
    if not Pose().agrees(matrix[None]):
        raise UserError(f'{name} must be a rotation (to 0.001) and a translation, with '
                        'the last row 0, 0, 0, 1' + (
                            '; it is transposed' if Pose().agrees(matrix.T[None])
                            else f', got {matrix.tolist()}'))
    return matrix


def _intrinsics(value: ArrayLike, name: str) -> np.ndarray:
    matrix = _matrix(value, name, ((3, 3), (4, 4)))
    if not Intrinsics().agrees(matrix[None]):
        raise UserError(f'{name} must have focal lengths above 0 and the third row '
                        f'0, 0, 1, got {matrix.tolist()}')
    return matrix


def _matrix(value: ArrayLike, name: str, shapes: tuple[tuple[int, int], ...]
            ) -> np.ndarray:
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise UserError(f'{name} must be a matrix of numbers, got {value!r:.60}'
                        ) from None
    if matrix.shape not in shapes:
        expected = ' or '.join(map(str, shapes))
        raise UserError(f'{name} must have the shape {expected}, got {matrix.shape}')
    if not np.isfinite(matrix).all():
        raise UserError(f'{name} is not finite: {matrix.tolist()}')
    return matrix
