"""A tiny folder of a rig of its own: two cameras, a tilted LiDAR, two classes."""
import json

import cv2
import numpy as np
from pyquaternion import Quaternion

SIZES = {'ahead': (64, 48), 'aside': (40, 60)}  # width, height
LEFT_IS_MINUS_X = np.array([[0., 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Ego from a camera that looks ahead: columns right, down, forward."""


def pose(x, y, degrees, z=0., tilt=0.):
    """Return a (4, 4): turned about z, then tilted about its own x."""
    turn = (Quaternion(axis=[0, 0, 1], degrees=degrees)
            * Quaternion(axis=[1, 0, 0], degrees=tilt))
    matrix = turn.transformation_matrix
    matrix[:3, 3] = x, y, z
    return matrix


def camera(name, number):
    """Return the record of a camera in a frame."""
    width, height = SIZES[name]
    turn = pose(1.5, .2, 0. if name == 'ahead' else 75., z=1.4, tilt=2.)
    turn[:3, :3] = turn[:3, :3] @ LEFT_IS_MINUS_X
    return {'image': f'images/{name}{number}.png', 'sensor2ego': turn.tolist(),
            'intrinsics': [[40., 0, width / 2], [0, 42., height / 2], [0, 0, 1]]}


def polygon(name, *rings, kind='Polygon'):
    """Return a feature of a map."""
    return {'type': 'Feature', 'properties': {'class': name},
            'geometry': {'type': kind, 'coordinates': list(rings)}}


def box(x, y, width, height):
    """Return a closed ring."""
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height], [x, y]]


FEATURES = [polygon('road', box(80, 195, 60, 12), box(100, 199, 4, 3)),
            polygon('grass', box(70, 207, 100, 9))]


def frames(count=2):
    """Return records of frames; the vehicle turns and moves."""
    return [{'id': f'frame{number}', 'scene': 'yard', 'timestamp': number / 2,
             'ego2global': pose(100 + 6 * number, 200, 30 * number).tolist(),
             'map': 'yard', 'cameras': {name: camera(name, number) for name in SIZES},
             'lidar': {'points': f'points/{number}.bin', 'values': 4,
                       'sensor2ego': pose(.9, 0, 40., z=1.8, tilt=10.).tolist()}}
            for number in range(count)]


def write_tiny_rig(root, change=None, features=FEATURES, name='frames.json'):
    """Write the folder.

    Args:
        root: Where.
        change: Called with the content of the list before it is written.
        features: Of the map, or None for none.
        name: Of the list.

    Returns:
        The list's path.
    """
    for folder in ('images', 'points'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    content = {'format': 'ddp-bev-1', 'classes': ['road', 'grass'],
               'maps': {'yard': {'polygons': 'yard.geojson'}}, 'frames': frames()}
    for number, frame in enumerate(content['frames']):
        for camera_name, (width, height) in SIZES.items():
            cv2.imwrite(str(root / frame['cameras'][camera_name]['image']),
                        draw.integers(0, 255, (height, width, 3), np.uint8))
        draw.uniform(-20, 20, (30 + number, 4)).astype(np.float32).tofile(
            root / frame['lidar']['points'])
    if features is not None:
        (root / 'yard.geojson').write_text(json.dumps(
            {'type': 'FeatureCollection', 'features': features}))
    if change is not None:
        change(content)
    (root / name).write_text(json.dumps(content))
    return root / name
