"""Read the tables of nuScenes and check them before work is done on them.

Only what nuscenes-devkit and the info files need of them is checked: fields may
be added, and tables hold references that nothing here follows.
"""
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from ddp_perception.checkpoints.plain_pickle import load_info_file
from ddp_perception.datasets.geometry_kinds import Intrinsics, Rotation
from ddp_perception.datasets.record_checks import Records, shown, table_of
from ddp_perception.datasets.value_kinds import (
    LATEST,
    Array,
    Kind,
    Number,
    Text,
    Texts,
    Truth,
)

_TIME = Number(0, LATEST * 1_000_000, whole=True)  # microseconds
_PLACE = Array((3, ))
_COUNT = Number(0, 2 ** 31, whole=True)
_LINKS: dict[str, Kind] = {'prev': Text(empty=True), 'next': Text(empty=True)}

FIELDS: dict[str, dict[str, Kind]] = {
    'category': {'name': Text()},
    'attribute': {'name': Text()},
    'visibility': {},
    'instance': {'category_token': Text()},
    'sensor': {'channel': Text(), 'modality': Text()},
    'calibrated_sensor': {'sensor_token': Text(), 'translation': Array(
        (3, ), least=-1e3, greatest=1e3), 'rotation': Rotation()},
    'ego_pose': {'translation': _PLACE, 'rotation': Rotation(),
                 'timestamp': _TIME},
    'log': {'location': Text(part=True)},
    'scene': {'name': Text(part=True), 'log_token': Text(),
              'first_sample_token': Text(), 'last_sample_token': Text()},
    'sample': {'timestamp': _TIME, 'scene_token': Text(), **_LINKS},
    'sample_data': {'sample_token': Text(), 'ego_pose_token': Text(),
                    'calibrated_sensor_token': Text(), 'filename': Text(),
                    'timestamp': _TIME, 'is_key_frame': Truth(), **_LINKS},
    'sample_annotation': {
        'sample_token': Text(), 'instance_token': Text(),
        'attribute_tokens': Texts(), 'translation': _PLACE,
        'size': Array((3, ), least=0., greatest=1e3), 'rotation': Rotation(),
        'num_lidar_pts': _COUNT, 'num_radar_pts': _COUNT, **_LINKS},
    'map': {'filename': Text(), 'log_tokens': Texts()},
}
"""Tables and their fields, besides the token."""

REFERENCES = {
    'instance': {'category_token': 'category'},
    'calibrated_sensor': {'sensor_token': 'sensor'},
    'scene': {'log_token': 'log', 'first_sample_token': 'sample',
              'last_sample_token': 'sample'},
    'sample': {'scene_token': 'scene'},
    'sample_data': {'sample_token': 'sample', 'ego_pose_token': 'ego_pose',
                    'calibrated_sensor_token': 'calibrated_sensor'},
    'sample_annotation': {'sample_token': 'sample', 'instance_token': 'instance',
                          'attribute_tokens': 'attribute'},
}
"""Fields that hold tokens of another table."""

CHAINS = ('sample', 'sample_data', 'sample_annotation')
"""Tables whose records are linked by prev and next."""


def read_tables(folder: str | Path, names: Sequence[str] = tuple(FIELDS)
                ) -> dict[str, list[dict[str, Any]]]:
    """Read and check tables.

    Args:
        folder: Holds the tables of one version.
        names: Tables to read.

    Returns:
        Records by table.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table cannot be read; a record lacks a field or holds
            another value than `FIELDS` says; a token occurs twice or is in no
            record; prev and next do not agree, go round in a circle or back in
            time; a scene does not lead through its samples. One line with file,
            record and field.
    """
    tables = {name: _read(Path(folder, f'{name}.json'), FIELDS[name])
              for name in names}
    indices = {name: {item['token']: index
                      for index, item in enumerate(table.items)}
               for name, table in tables.items()}
    for name, fields in REFERENCES.items():
        for field, target in fields.items():
            if name in tables and target in tables:
                _check_references(tables[name], field, target, indices[target])
    for name in CHAINS:
        if name in tables:
            _check_chain(tables[name], indices[name])
    if 'sample' in tables:
        times = {item['token']: item['timestamp'] for item in tables['sample'].items}
        _check_order(tables['sample'], times)
        if 'sample_annotation' in tables:
            annotations = tables['sample_annotation']
            _check_order(annotations, {
                item['token']: times[item['sample_token']]
                for item in annotations.items})
    if {'scene', 'sample'} <= set(tables):
        _check_scenes(tables['scene'], tables['sample'].items, indices['sample'])
    if {'calibrated_sensor', 'sensor'} <= set(tables):
        _check_cameras(tables, indices)
    if {'log', 'map'} <= set(tables):
        _check_maps(tables, folder)
    return {name: table.items for name, table in tables.items()}


def _read(path: Path, fields: dict[str, Kind]) -> Records:
    table = table_of(load_info_file(path), str(path))
    tokens = table.check('token', Text())
    if len(set(tokens)) < len(tokens):
        seen: dict[str, int] = {}
        for index, token in enumerate(tokens):
            if seen.setdefault(token, index) != index:
                raise ValueError(f'{table.at(index, "token")} is that of record '
                                 f'{seen[token]} too')
    for field, kind in fields.items():
        table.check(field, kind)
    return table


def _check_references(table: Records, field: str, target: str,
                      known: Container[str]) -> None:
    for index, item in enumerate(table.items):
        tokens = item[field]
        for token in (tokens, ) if isinstance(tokens, str) else tokens:
            if token not in known:
                raise ValueError(f'{table.at(index, field)} names {shown(token)}, '
                                 f'which {target}.json lacks')


def _check_chain(table: Records, indices: dict[str, int]) -> None:
    """Check that prev and next agree and that every record has a first one."""
    items = table.items
    for index, item in enumerate(items):
        for there, back in (('next', 'prev'), ('prev', 'next')):
            token = item[there]
            if not token:
                continue
            if token not in indices:
                raise ValueError(f'{table.at(index, there)} names {shown(token)}, '
                                 'which the table lacks')
            answer = items[indices[token]][back]
            if answer != item['token']:
                raise ValueError(
                    f'{table.at(index, there)} names {shown(token)}, whose {back} '
                    f'is {shown(answer)} instead of this record')
    reached = set()
    for item in items:
        if not item['prev']:
            token = item['token']
            while token:
                reached.add(token)
                token = items[indices[token]]['next']
    if len(reached) < len(items):
        index = next(i for i, item in enumerate(items)
                     if item['token'] not in reached)
        raise ValueError(f'{table.at(index, "next")} leads round in a circle')


def _check_order(table: Records, times: dict[str, int]) -> None:
    """Check that next is later; velocities are divided by the difference."""
    for index, item in enumerate(table.items):
        if item['next'] and times[item['next']] <= times[item['token']]:
            raise ValueError(
                f'{table.at(index, "next")} names {shown(item["next"])}, whose '
                f'sample has the timestamp {times[item["next"]]} in sample.json; '
                f'expected one after {times[item["token"]]}')


def _check_scenes(scenes: Records, samples: list[dict[str, Any]],
                  indices: dict[str, int]) -> None:
    """Check that a scene leads from its first sample to its last."""
    for index, scene in enumerate(scenes.items):
        first, last = (samples[indices[scene[f'{which}_sample_token']]]
                       for which in ('first', 'last'))
        for which, sample, end in (('first', first, 'prev'),
                                   ('last', last, 'next')):
            if sample['scene_token'] != scene['token'] or sample[end]:
                raise ValueError(
                    f'{scenes.at(index, f"{which}_sample_token")} names '
                    f'{shown(sample["token"])}, which in sample.json is of scene '
                    f'{shown(sample["scene_token"])} and has {end} '
                    f'{shown(sample[end])}; expected one of this scene without')
        sample = first
        while sample is not last:  # ends: there is no circle
            if sample['scene_token'] != scene['token'] or not sample['next']:
                raise ValueError(
                    f'{scenes.at(index, "first_sample_token")} leads to '
                    f'{shown(sample["token"])}, which in sample.json is of another '
                    'scene or has no next, before the last sample')
            sample = samples[indices[sample['next']]]


def _check_cameras(tables: dict[str, Records], indices: dict[str, dict[str, int]]
                   ) -> None:
    """Check the intrinsics of cameras; other sensors have none."""
    sensors, calibrated = tables['sensor'].items, tables['calibrated_sensor']
    cameras = [i for i, item in enumerate(calibrated.items) if _is_camera(
        sensors[indices['sensor'][item['sensor_token']]])]
    Records([calibrated.items[i] for i in cameras],
            lambda i: f'{calibrated.name(cameras[i])} (a camera by sensor.json)'
            ).check(
                'camera_intrinsic', Intrinsics())


def _is_camera(sensor: dict[str, Any]) -> bool:
    return sensor['modality'] == 'camera' or sensor['channel'].startswith('CAM_')


def _check_maps(tables: dict[str, Records], folder: str | Path) -> None:
    """Check that every log is of some map; the devkit stops otherwise."""
    if not tables['map'].items:
        raise ValueError(f'{folder}/map.json has no record')
    driven = {token for item in tables['map'].items for token in item['log_tokens']}
    for index, log in enumerate(tables['log'].items):
        if log['token'] not in driven:
            raise ValueError(f'{tables["log"].at(index, "token")} is in no '
                             'log_tokens of map.json')
