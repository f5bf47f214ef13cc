"""Lists of frames of one's own rig: what they hold, checked when they are read.

docs/own_data.md describes the format for those who write it.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

from ddp_perception.checkpoints.plain_pickle import load_info_file

from .geometry_kinds import Intrinsics, Pose
from .info_schema import NEARBY
from .own_map import MapSource
from .record_checks import Records, check_fields, require_same_keys, shown
from .value_kinds import LATEST, Array, Number, Text

FORMAT = 'ddp-bev-1'
"""What a list says of itself, so that a later format can be told from it."""

FRAME: dict[str, Any] = {
    'id': Text(),
    'scene': Text(),
    'timestamp': Number(0, LATEST),
    'ego2global': Pose(),
    'map': Text(),
    'cameras{}': {
        'image': Text(),
        'intrinsics': Intrinsics(),
        'sensor2ego': Pose(NEARBY),
        'ego2global': Pose(),
    },
    'lidar': {
        'points': Text(),
        'values': Number(3, 1000, whole=True),
        'sensor2ego': Pose(NEARBY),
    },
}
REQUIRED = ('id', 'ego2global', 'cameras.image', 'cameras.intrinsics',
            'cameras.sensor2ego', 'lidar.points', 'lidar.values', 'lidar.sensor2ego')
MAP: dict[str, Any] = {
    'polygons': Text(),
    'rasters': Text(),  # of a dictionary; see `_check_map`
    'resolution': Number(1e-3, 100),
    'origin': Array((2,)),
}
_TOP = ('format', 'classes', 'maps', 'frames')


def read_frames(path: str | Path) -> dict[str, Any]:
    """Read and check a list of frames.

    Args:
        path: JSON.

    Returns:
        Its content: `classes`, `maps` (may be empty) and `frames`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read or holds wrong values; one line that names
            file, frame and field, what was expected and what is there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'list of frames {path} is missing')
    if path.suffix != '.json':
        raise ValueError(f'list of frames {path} must be a .json file')
    content = load_info_file(path)
    try:
        _check_top(content)
        for name, record in content['maps'].items():
            _check_map(f'maps.{name}', record, content['classes'])
        _check_frames(content['frames'], content['maps'])
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    return content


def map_sources(content: dict[str, Any], root: str | Path) -> dict[str, MapSource]:
    """Return the maps of a list that was read, by name.

    Args:
        content: Of `read_frames`.
        root: Folder that its paths are relative to.
    """
    return {name: MapSource.of(record, root, tuple(content['classes']), name)
            for name, record in content['maps'].items()}


def frame_name(frames: list[Any], index: int) -> str:
    """Return what messages call a frame: its place in the list and id."""
    frame = frames[index]
    known = frame.get('id') if isinstance(frame, dict) else None
    return f'frame {index} (id {shown(known)})'


def _check_top(content: Any) -> None:
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        found = content.get('format') if isinstance(content, dict) else content
        raise ValueError(f'a list of frames must say "format": "{FORMAT}", got '
                         f'{shown(found)}')
    content.setdefault('maps', {})
    Records([content], lambda index: 'the list').require_known(_TOP)
    for key, kind in (('classes', list), ('maps', dict), ('frames', list)):
        if not isinstance(content.get(key), kind) or not content[key] and key != 'maps':
            raise ValueError(f'{key} must be a {kind.__name__} that is not empty, got '
                             f'{shown(content.get(key))}')
    classes = content['classes']
    if not Text().holds(classes) or len(set(classes)) < len(classes):
        raise ValueError(f'classes must be different names, got {shown(classes)}')


def _check_map(name: str, record: Any, classes: list[str]) -> None:
    """Check a map: either `polygons`, or the three fields of rasters."""
    records = Records([record], lambda index: name)
    records.require_known(list(MAP))
    if 'polygons' in record:
        records.check('polygons', MAP['polygons'])
        if len(record) > 1:
            raise ValueError(f'{name} must have either polygons or rasters, got '
                             f'{", ".join(record)}')
        return
    if 'rasters' not in record:
        raise ValueError(f'{name} must have polygons or rasters, got '
                         f'{", ".join(record) or "neither"}')
    rasters = records.child('rasters')
    rasters.require_known(classes)
    for key in classes:
        rasters.check(key, MAP['rasters'])
    for key in ('resolution', 'origin'):
        records.check(key, MAP[key])


def _check_frames(frames: list[Any], maps: dict[str, Any]) -> None:
    records = Records(frames, lambda index: frame_name(frames, index))
    check_fields(records, FRAME, REQUIRED, closed=True)
    places: dict[str, int] = {}
    for index, frame in enumerate(frames):
        before = places.setdefault(frame['id'], index)
        if before != index:
            raise ValueError(f'{records.at(index, "id")} must be different for every '
                             f'frame, frame {before} has it too')
        if not frame.get('cameras') and not frame.get('lidar'):
            raise ValueError(f'{records.name(index)} must have cameras, lidar or both')
        if frame.get('map') is not None and frame['map'] not in maps:
            raise ValueError(f'{records.at(index, "map")} must be one of the maps '
                             f'({", ".join(maps) or "there is none"}), got '
                             f'{shown(frame["map"])}')
        frame.setdefault('cameras', {})
    require_same_keys(records, 'cameras', 'cameras')
    for index, frame in enumerate(frames):
        values = (frame.get('lidar') or {}).get('values')
        if values != (frames[0].get('lidar') or {}).get('values'):
            raise ValueError(f'{records.at(index, "lidar")} must have as many values '
                             f'as that of frame 0, got {values}')
