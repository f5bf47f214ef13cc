"""A tiny nuScenes root whose pictures and points follow closed forms.

The world is the plane z = 0, coloured by `ground_colour`. LiDAR points lie on
it. So whatever becomes of a point and a picture, the colour under the
projected point must be the colour of its place in the world.
"""
import json

import cv2
import numpy as np
from pyquaternion import Quaternion

from benchmarks.map_masks import expansion_records
from data_tools.nuscenes_infos import CAMERAS

IMAGE_SIZE = (160, 90)  # width, height
LOCATION = 'singapore-onenorth'
SQUARE = [(620., 810.), (640., 810.), (640., 840.), (620., 840.)]
"""Drivable area of the map, global metres."""
_YAWS = dict(zip(CAMERAS, (0, -55, 55, 180, 110, -110), strict=True))
_HALF_SECOND = 500_000  # microseconds between key frames


def ground_colour(points):
    """Return the colour (n, 3) BGR of places (n, 2 or more) in the world."""
    x, y = points[:, 0], points[:, 1]
    return np.stack([127 + 100 * np.sin(x / 1.4), 127 + 100 * np.cos(y / 1.6),
                     127 + 100 * np.sin((x + y) / 2)], 1)


def write_tiny_nuscenes(root, version='v1.0-mini',
                        scenes=('scene-0061', 'scene-0103')):
    """Write tables, six cameras, LiDAR with sweeps, and one map.

    Each scene has three key frames; one sweep lies before each of them
    except the first. A car drives ahead in every scene.
    """
    writer = _Writer(root)
    writer.add('map', log_tokens=[], category='semantic_prior',
               filename='maps/ground.png')
    for number, name in enumerate(scenes):
        writer.scene(name, number)
    writer.tables['map'][0]['log_tokens'] = [
        log['token'] for log in writer.tables['log']]
    folder = root / version
    folder.mkdir(parents=True)
    for table, records in writer.tables.items():
        (folder / f'{table}.json').write_text(json.dumps(records))
    (root / 'maps' / 'expansion').mkdir(parents=True)
    cv2.imwrite(str(root / 'maps' / 'ground.png'), np.zeros((8, 8), np.uint8))
    records = expansion_records(
        {'drivable_area': [(SQUARE, [])]},
        {'lane_divider': [[(600., 825.), (660., 825.)]]})
    (root / 'maps' / 'expansion' / f'{LOCATION}.json').write_text(
        json.dumps(records))
    return root


class _Writer:

    def __init__(self, root):
        self.root = root
        self.tables = {name: [] for name in (
            'category', 'attribute', 'visibility', 'instance', 'sensor',
            'calibrated_sensor', 'ego_pose', 'log', 'scene', 'sample',
            'sample_data', 'sample_annotation', 'map')}
        self.category = self.add('category', name='vehicle.car',
                                 description='')
        self.add('attribute', name='vehicle.moving', description='')
        self.add('visibility', level='v80-100', description='')
        self.sensors = {}
        for name in ('LIDAR_TOP', *CAMERAS):
            kind = 'lidar' if name == 'LIDAR_TOP' else 'camera'
            self.sensors[name] = self.add('sensor', channel=name,
                                          modality=kind)

    def add(self, table, **fields):
        token = f'{table}{len(self.tables[table])}'
        self.tables[table].append({'token': token, **fields})
        return token

    def scene(self, name, number):
        """Drive through three key frames, half a second apart, turning."""
        log = self.add('log', logfile='', vehicle='', date_captured='',
                       location=LOCATION)
        calibration = {channel: self.add(
            'calibrated_sensor', sensor_token=self.sensors[channel],
            **sensor_calibration(channel)) for channel in self.sensors}
        start = 1_500_000_000_000_000 + number * 60_000_000
        samples = [self.add('sample', timestamp=start + i * _HALF_SECOND,
                            scene_token=f'scene{number}', prev='', next='')
                   for i in range(3)]
        self._chain('sample', samples)
        self.add('scene', name=name, description='', log_token=log,
                 nbr_samples=3, first_sample_token=samples[0],
                 last_sample_token=samples[-1])
        lidar = []
        for i, sample in enumerate(samples):
            time = start + i * _HALF_SECOND
            if i:  # an earlier sweep, read between two key frames
                lidar.append(self._reading(
                    'LIDAR_TOP', calibration, sample, time - 100_000, start,
                    False))
            lidar.append(self._reading('LIDAR_TOP', calibration, sample, time,
                                       start, True))
            for j, camera in enumerate(CAMERAS):
                self._reading(camera, calibration, sample,
                              time - 40_000 + 5_000 * j, start, True)
        self._chain('sample_data', lidar)
        self._car(samples, start)

    def _reading(self, channel, calibration, sample, time, start, key):
        pose = vehicle_pose((time - start) / 1e6)
        ego = self.add('ego_pose', timestamp=time, **pose)
        folder = f'{"samples" if key else "sweeps"}/{channel}'
        suffix = 'pcd.bin' if channel == 'LIDAR_TOP' else 'png'
        filename = f'{folder}/tiny__{channel}__{time}.{suffix}'
        path = self.root / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        sensor = next(record for record in self.tables['calibrated_sensor']
                      if record['token'] == calibration[channel])
        global_from_sensor = matrix(pose) @ matrix(sensor)
        if channel == 'LIDAR_TOP':
            _scan(global_from_sensor).tofile(path)
            size = (0, 0)
        else:
            cv2.imwrite(str(path), _photograph(
                global_from_sensor, np.array(sensor['camera_intrinsic'])))
            size = IMAGE_SIZE
        return self.add(
            'sample_data', sample_token=sample, ego_pose_token=ego,
            calibrated_sensor_token=calibration[channel], filename=filename,
            fileformat='pcd' if channel == 'LIDAR_TOP' else 'png',
            width=size[0], height=size[1], timestamp=time, is_key_frame=key,
            prev='', next='')

    def _car(self, samples, start):
        instance = f'instance{len(self.tables["instance"])}'
        boxes = []
        for i, sample in enumerate(samples):
            place = vehicle_pose(i / 2)
            ahead = matrix(place) @ [12, 3, 0.8, 1]
            boxes.append(self.add(
                'sample_annotation', sample_token=sample,
                instance_token=instance, attribute_tokens=['attribute0'],
                visibility_token='visibility0', translation=ahead[:3].tolist(),
                size=[1.9, 4.5, 1.6], rotation=place['rotation'], prev='',
                next='', num_lidar_pts=5 - i, num_radar_pts=0))
        self._chain('sample_annotation', boxes)
        self.add('instance', category_token=self.category, nbr_annotations=3,
                 first_annotation_token=boxes[0],
                 last_annotation_token=boxes[-1])

    def _chain(self, table, tokens):
        records = {record['token']: record for record in self.tables[table]}
        for before, after in zip(tokens, tokens[1:], strict=False):
            records[before]['next'] = after
            records[after]['prev'] = before


def matrix(record):
    """Return the (4, 4) matrix of a table record's rotation and translation."""
    result = Quaternion(record['rotation']).transformation_matrix
    result[:3, 3] = record['translation']
    return result


def vehicle_pose(seconds):
    """Return where the vehicle is: 8 m/s, turning left, slightly tilted."""
    heading = 0.5 + 0.3 * seconds
    turn = (Quaternion(axis=[0, 0, 1], radians=heading)
            * Quaternion(axis=[1, 0, 0], radians=0.01))
    return {'translation': [630 + 8 * seconds, 820 + 2 * seconds, 0.],
            'rotation': turn.elements.tolist()}


def sensor_calibration(channel):
    """Return translation, rotation and intrinsics of a sensor."""
    if channel == 'LIDAR_TOP':  # x right, y forward
        turn = Quaternion(axis=[0, 0, 1], radians=-np.pi / 2)
        return {'translation': [0.94, 0., 1.84],
                'rotation': turn.elements.tolist(), 'camera_intrinsic': []}
    # From camera axes (right, down, forward) to the vehicle's.
    upright = Quaternion(matrix=np.array([[0., 0, 1], [-1, 0, 0], [0, -1, 0]]))
    turn = Quaternion(axis=[0, 0, 1], degrees=_YAWS[channel]) * upright
    place = turn.rotation_matrix @ [0.1, 0, 0.8] + [0.7, 0, 1.5]
    focal = 80.9 if channel == 'CAM_BACK' else 126.4
    return {'translation': place.tolist(), 'rotation': turn.elements.tolist(),
            'camera_intrinsic': [[focal, 0, 81.], [0, focal, 41.], [0, 0, 1]]}


def _scan(global_from_lidar):
    """Return (n, 5) float32 points of the ground, in the LiDAR frame."""
    angle, reach = np.meshgrid(np.linspace(0, 2 * np.pi, 90, endpoint=False),
                               np.linspace(3, 30, 12))
    centre = global_from_lidar[:2, 3]
    ground = np.stack([centre[0] + reach.ravel() * np.cos(angle.ravel()),
                       centre[1] + reach.ravel() * np.sin(angle.ravel()),
                       np.zeros(angle.size), np.ones(angle.size)])
    points = (np.linalg.inv(global_from_lidar) @ ground)[:3].T
    features = np.full((len(points), 2), 7.)
    return np.hstack([points, features]).astype(np.float32)


def _photograph(global_from_cam, intrinsic):
    """Return the (H, W, 3) picture of the ground, sky black."""
    width, height = IMAGE_SIZE
    u, v = np.meshgrid(np.arange(width) + .5, np.arange(height) + .5)
    rays = np.linalg.inv(intrinsic) @ np.stack(
        [u.ravel(), v.ravel(), np.ones(u.size)])
    rays = global_from_cam[:3, :3] @ rays
    origin = global_from_cam[:3, 3]
    with np.errstate(divide='ignore'):
        reach = -origin[2] / rays[2]
    seen = (reach > 0) & (reach < 60)
    picture = np.zeros((u.size, 3))
    places = origin[:2, None] + reach[seen] * rays[:2, seen]
    picture[seen] = ground_colour(places.T)
    return picture.reshape(height, width, 3).round().astype(np.uint8)
