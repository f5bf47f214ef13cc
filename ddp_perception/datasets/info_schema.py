"""What a frame of an info file (mmdet3d's format v2, nuScenes) must hold.

Checked whole when a file is read: a wrong record is named at once, not after an
hour of training. Fields that are not listed here may hold anything.
"""
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .geometry_kinds import Intrinsics, Pose
from .record_checks import (
    Records,
    check_fields,
    labelled,
    require_same_keys,
    shown,
)
from .value_kinds import LATEST, Array, Number, Text, Truth

NEARBY = 1e3
"""Metres. Sensors of one vehicle are not further apart, nor moves it further
between two of their readings of a frame."""

_TIME = Number(0, LATEST)
_LABEL = Number(-1, 9, whole=True)  # nuScenes: 10 classes, -1 for none of them
_COUNT = Number(0, 2 ** 31, whole=True)
_LIDAR: dict[str, Any] = {
    'lidar_path': Text(),
    'num_pts_feats': Number(1, 1000, whole=True),
    'lidar2ego': Pose(NEARBY),
}

FRAME: dict[str, Any] = {
    'sample_idx': Number(0, 2 ** 53, whole=True),
    'token': Text(),
    'timestamp': _TIME,
    'ego2global': Pose(),
    'map_location': Text(part=True),
    'scene_token': Text(),
    'scene_name': Text(),
    'log_token': Text(),
    'lidar_points': _LIDAR,
    'lidar_sweeps[]': {
        'timestamp': _TIME,
        'sample_data_token': Text(),
        'ego2global': Pose(),
        'lidar_points': {**_LIDAR, 'lidar2sensor': Pose()},
    },
    'images{}': {
        'img_path': Text(),
        'cam2img': Intrinsics(),
        'lidar2cam': Pose(NEARBY),
        'cam2ego': Pose(NEARBY),
        'timestamp': _TIME,
        'sample_data_token': Text(),
    },
    'instances[]': {
        'bbox_3d': Array((7, )),
        'bbox_label': _LABEL,
        'bbox_label_3d': _LABEL,
        'velocity': Array((2, ), nan=True),  # unknown where seen once
        'num_lidar_pts': _COUNT,
        'num_radar_pts': _COUNT,
        'bbox_3d_isvalid': Truth(),
    },
}
"""Field: its kind, a record of fields, or a list (the field ends in []) or
dictionary ({}) of such records."""

CAMERA_FIELDS = ('images', 'images.img_path', 'images.cam2img',
                 'images.lidar2cam')
LIDAR_FIELDS = ('lidar_points', 'lidar_points.lidar_path',
                'lidar_points.num_pts_feats', 'lidar_sweeps.lidar_points',
                'lidar_sweeps.lidar_points.lidar_path',
                'lidar_sweeps.lidar_points.lidar2sensor',
                'lidar_sweeps.timestamp')
MAP_FIELDS = ('ego2global', 'lidar_points', 'lidar_points.lidar2ego')
BOX_FIELDS = ('instances.bbox_3d', 'instances.bbox_label_3d',
              'instances.num_lidar_pts')
"""What is read of every frame with cameras, LiDAR, map masks and boxes. A field
of a list or dictionary must be in each of its records, if there are any."""


ALL_FIELDS = (*CAMERA_FIELDS, *LIDAR_FIELDS, *MAP_FIELDS, *BOX_FIELDS,
              'map_location', 'instances.velocity')


def check_infos(content: Any, path: str | Path, required: Iterable[str] = ()
                ) -> dict[str, Any]:
    """Check the whole content of an info file.

    Args:
        content: What was read from the file.
        path: For messages.
        required: Fields that every frame must have, out of
            `CAMERA_FIELDS` and the others.

    Returns:
        The content; `metainfo` is a dictionary, `data_list` a list of
        dictionaries.

    Raises:
        ValueError: not of format v2, or a frame lacks a field or holds another
            value than `FRAME` says. One line with file, frame, key, what was
            expected and what is there.
    """
    if not isinstance(content, dict) or not {'metainfo', 'data_list'} <= set(
            content):
        raise ValueError(f'{path} is not an info file of format v2: it must '
                         'hold metainfo and data_list')
    for key, kind in (('metainfo', dict), ('data_list', list)):
        if not isinstance(content[key], kind):
            raise ValueError(f'{path}: {key} must be a {kind.__name__}, got '
                             f'{shown(content[key])}')
    frames = content['data_list']
    metainfo = Records([content['metainfo']], lambda index: 'metainfo')

    def name(index: int) -> str:
        return labelled(frames, index, 'frame')

    try:
        metainfo.check('version', Text(part=True), optional=True)
        records = Records(frames, name)
        check_fields(records, FRAME, set(required))
        _require_columns(records)
        if 'instances.bbox_label_3d' in required:
            _check_labels(records)
        if 'images' in required:
            require_same_keys(records, 'images', 'cameras')
        if 'lidar_sweeps.timestamp' in required:
            swept = [i for i, frame in enumerate(frames)
                     if frame.get('lidar_sweeps')]
            Records([frames[i] for i in swept], lambda i: name(swept[i])).check(
                'timestamp', _TIME)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return content


def required_fields(modality: Mapping[str, Any], with_map: bool, boxes: bool,
                    velocity: bool = True) -> tuple[str, ...]:
    """Return the fields that a data set reads of every frame.

    Args:
        modality: use_camera and use_lidar.
        with_map: Map masks are drawn.
        boxes: Instances are read.
        velocity: Theirs too.

    Returns:
        See `check_infos`.
    """
    return ((CAMERA_FIELDS if modality.get('use_camera') else ())
            + (LIDAR_FIELDS if modality.get('use_lidar') else ())
            + (MAP_FIELDS if with_map else ())
            + (BOX_FIELDS if boxes else ())
            + (('instances.velocity', ) if boxes and velocity else ()))


def _require_columns(records: Records) -> None:
    """Check that all instances of a frame have the keys of its first one."""
    for index, frame in enumerate(records.items):
        instances = frame.get('instances') or [{}]
        keys = instances[0].keys()
        for place, item in enumerate(instances):
            if item.keys() != keys:
                odd = sorted(map(str, keys ^ item.keys()))
                raise ValueError(
                    f'{records.at(index, "instances")}[{place}] must have the keys '
                    f'of the first instance, they differ in {shown(odd)}')


def _check_labels(records: Records) -> None:
    """Check all labels of boxes, each of which mmdet3d looks up, None too."""
    boxes = records.children('instances', optional=True)
    keys = {key for keys in set(map(tuple, boxes.items)) for key in keys
            if isinstance(key, str) and 'label' in key and key != 'attr_label'}
    for key in sorted(keys):
        owners = [i for i, box in enumerate(boxes.items) if key in box]

        def name(index: int, owners: list[int] = owners) -> str:
            return boxes.name(owners[index])

        Records([boxes.items[i] for i in owners], name).check(key, _LABEL)
