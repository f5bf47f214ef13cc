"""Turn nuScenes tables into the frames of an mmdet3d info file (v2).

Source: the format of mmdet3d 1.4.0 (info_version 1.1), whose converter is
not part of its importable package. Extended by map_location, scene_token,
scene_name and log_token.
"""
from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from pyquaternion import Quaternion

if TYPE_CHECKING:
    from nuscenes import NuScenes

CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK',
           'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
CLASSES = ('car', 'truck', 'trailer', 'bus', 'construction_vehicle',
           'bicycle', 'motorcycle', 'pedestrian', 'traffic_cone', 'barrier')
CATEGORY_CLASS = {
    'movable_object.barrier': 'barrier',
    'movable_object.trafficcone': 'traffic_cone',
    'vehicle.bicycle': 'bicycle',
    'vehicle.motorcycle': 'motorcycle',
    'vehicle.car': 'car',
    'vehicle.truck': 'truck',
    'vehicle.trailer': 'trailer',
    'vehicle.construction': 'construction_vehicle',
    'vehicle.bus.bendy': 'bus',
    'vehicle.bus.rigid': 'bus',
    'human.pedestrian.adult': 'pedestrian',
    'human.pedestrian.child': 'pedestrian',
    'human.pedestrian.construction_worker': 'pedestrian',
    'human.pedestrian.police_officer': 'pedestrian',
}
"""nuScenes category -> detection class; every other category gets -1."""


def scene_samples(nusc: NuScenes, scene: dict) -> list[dict]:
    """Return the key frames of a scene in order of time."""
    samples, token = [], scene['first_sample_token']
    while token:
        samples.append(nusc.get('sample', token))
        token = samples[-1]['next']
    return samples


def frame_files(nusc: NuScenes, sample: dict, max_sweeps: int) -> list[str]:
    """Return every file that a frame's info names, relative to the root.

    Raises:
        ValueError: the sample lacks the LiDAR or a camera.
    """
    lidar = _reading(nusc, sample, 'LIDAR_TOP')
    cameras = [_reading(nusc, sample, name) for name in CAMERAS]
    return [record['filename']
            for record in [lidar, *cameras, *_sweeps(nusc, lidar, max_sweeps)]]


def frame_info(nusc: NuScenes, sample: dict, max_sweeps: int = 10) -> dict:
    """Return one frame of the info file, without `sample_idx`.

    Args:
        nusc: The tables.
        sample: Its record of table sample.
        max_sweeps: Earlier LiDAR sweeps to list, latest first.

    Returns:
        Matrices are nested lists, 4x4 (cam2img 3x3), metres; times are
        seconds; boxes are x, y, z of the centre, length, width, height, yaw in
        the LiDAR frame.
    """
    lidar = _reading(nusc, sample, 'LIDAR_TOP')
    ego_from_lidar, global_from_ego = _placement(nusc, lidar)
    global_from_lidar = global_from_ego @ ego_from_lidar
    scene = nusc.get('scene', sample['scene_token'])
    log = nusc.get('log', scene['log_token'])
    sweeps = [_sweep(nusc, record, global_from_lidar)
              for record in _sweeps(nusc, lidar, max_sweeps)]
    return {
        'token': sample['token'],
        'timestamp': sample['timestamp'] / 1e6,
        'ego2global': global_from_ego.tolist(),
        'images': {name: _camera(nusc, _reading(nusc, sample, name),
                                 global_from_lidar) for name in CAMERAS},
        'lidar_points': {
            'num_pts_feats': 5,
            'lidar_path': PurePosixPath(lidar['filename']).name,
            'lidar2ego': ego_from_lidar.tolist(),
        },
        # mmdet3d tells a frame without sweeps by the missing key.
        **({'lidar_sweeps': sweeps} if sweeps else {}),
        'instances': [_instance(nusc, token, global_from_lidar)
                      for token in sample['anns']],
        **map_fields(scene, log),
    }


def map_fields(scene: dict, log: dict) -> dict[str, str]:
    """Return what map segmentation adds to a frame of the info format."""
    return {'map_location': log['location'], 'scene_token': scene['token'],
            'scene_name': scene['name'], 'log_token': log['token']}


def metainfo(version: str, map_version: str) -> dict:
    """Return the metainfo of an info file.

    Args:
        version: Version of the tables, for example 'v1.0-mini'.
        map_version: Version of the map expansion, for example '1.3'.
    """
    return {'categories': {name: index for index, name in enumerate(CLASSES)},
            'dataset': 'nuscenes', 'version': version, 'info_version': '1.1',
            'map_version': map_version}


class FolderIndex:
    """Answer whether files exist, reading each folder once.

    Args:
        root: Folder that the names are relative to.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._names: dict[str, set[str]] = {}

    def __contains__(self, filename: str) -> bool:
        """Say whether `filename`, relative to the root, exists."""
        folder, name = os.path.split(filename)
        if folder not in self._names:
            path = os.path.join(self.root, folder)
            self._names[folder] = (set(os.listdir(path))
                                   if os.path.isdir(path) else set())
        return name in self._names[folder]


def _reading(nusc: NuScenes, sample: dict, channel: str) -> dict:
    """Return the key frame record of a sensor."""
    if channel not in sample['data']:
        raise ValueError(
            f'sample {sample["token"]} has no key frame of {channel} by '
            'sample_data.json, calibrated_sensor.json and sensor.json; it has '
            f'{", ".join(sorted(sample["data"])) or "none"}')
    return nusc.get('sample_data', sample['data'][channel])


def _matrix(record: dict) -> np.ndarray:
    matrix = Quaternion(record['rotation']).transformation_matrix
    matrix[:3, 3] = record['translation']
    return matrix


def _placement(nusc: NuScenes, record: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return ego_from_sensor and global_from_ego of a sensor reading."""
    return (_matrix(nusc.get('calibrated_sensor',
                             record['calibrated_sensor_token'])),
            _matrix(nusc.get('ego_pose', record['ego_pose_token'])))


def _camera(nusc: NuScenes, record: dict, global_from_lidar: np.ndarray) -> dict:
    ego_from_cam, global_from_ego = _placement(nusc, record)
    cam_from_lidar = np.linalg.inv(global_from_ego @ ego_from_cam
                                   ) @ global_from_lidar
    sensor = nusc.get('calibrated_sensor', record['calibrated_sensor_token'])
    return {
        'img_path': PurePosixPath(record['filename']).name,
        'cam2img': sensor['camera_intrinsic'],
        'cam2ego': ego_from_cam.tolist(),
        'lidar2cam': cam_from_lidar.tolist(),
        'sample_data_token': record['token'],
        'timestamp': record['timestamp'] / 1e6,
    }


def _sweeps(nusc: NuScenes, lidar: dict, max_sweeps: int) -> list[dict]:
    """Return up to `max_sweeps` earlier LiDAR records, latest first."""
    sweeps: list[dict] = []
    record = lidar
    while record['prev'] and len(sweeps) < max_sweeps:
        record = nusc.get('sample_data', record['prev'])
        sweeps.append(record)
    return sweeps


def _sweep(nusc: NuScenes, record: dict, global_from_lidar: np.ndarray) -> dict:
    ego_from_sensor, global_from_ego = _placement(nusc, record)
    sensor_from_lidar = np.linalg.inv(global_from_ego @ ego_from_sensor
                                      ) @ global_from_lidar
    return {
        'timestamp': record['timestamp'] / 1e6,
        'sample_data_token': record['token'],
        'ego2global': global_from_ego.tolist(),
        'lidar_points': {
            # With its folder: mmdet3d tells samples from sweeps by it.
            'lidar_path': record['filename'],
            'lidar2ego': ego_from_sensor.tolist(),
            'lidar2sensor': sensor_from_lidar.tolist(),
        },
    }


def _instance(nusc: NuScenes, token: str, global_from_lidar: np.ndarray) -> dict:
    record = nusc.get('sample_annotation', token)
    lidar_from_global = np.linalg.inv(global_from_lidar)
    turn = lidar_from_global[:3, :3]
    centre = turn @ record['translation'] + lidar_from_global[:3, 3]
    forward = turn @ Quaternion(record['rotation']).rotation_matrix[:, 0]
    velocity = turn @ nusc.box_velocity(token)
    width, length, height = record['size']
    name = CATEGORY_CLASS.get(record['category_name'])
    label = CLASSES.index(name) if name else -1
    points = record['num_lidar_pts'], record['num_radar_pts']
    return {
        'bbox_3d': [*centre.tolist(), length, width, height,
                    float(np.arctan2(forward[1], forward[0]))],
        'bbox_label': label,
        'bbox_label_3d': label,
        'velocity': velocity[:2].tolist(),
        'num_lidar_pts': points[0],
        'num_radar_pts': points[1],
        'bbox_3d_isvalid': sum(points) > 0,
    }
