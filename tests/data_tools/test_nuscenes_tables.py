"""Wrong tables: `prepare nuscenes` names table, record and field, and ends."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_tools.prepare_nuscenes import extend, main, prepare
from tests.datasets.tiny_nuscenes import LOCATION, write_tiny_nuscenes

VERSION = 'v1.0-mini'


@pytest.fixture(scope='module')
def pristine(tmp_path_factory):
    return write_tiny_nuscenes(tmp_path_factory.mktemp('nuscenes') / 'root')


@pytest.fixture
def root(pristine, tmp_path):
    """A root of its own tables over the shared sensor files."""
    root = tmp_path / 'root'
    shutil.copytree(pristine / VERSION, root / VERSION)
    shutil.copytree(pristine / 'maps', root / 'maps')
    for name in ('samples', 'sweeps'):
        (root / name).symlink_to(pristine / name)
    return root


def edit(root, table, change):
    path = Path(root) / VERSION / f'{table}.json'
    records = json.loads(path.read_text())
    changed = change(records)
    path.write_text(json.dumps(records if changed is None else changed))


def put(index, key, value):
    return lambda records: records[index].update({key: value})


def drop(key):
    return lambda records: records[0].pop(key) and None


WRONG = {
    'a circle of samples': ('sample', lambda records: (
        records[2].update(next='sample0'), records[0].update(prev='sample2')) and None,
        'record 0 .*: next leads round in a circle'),
    'next of its own': ('sample', put(2, 'next', 'sample2'),
                        "record 2 .*: next names 'sample2', whose prev is 'sample1'"),
    'next that leads back': ('sample', put(2, 'next', 'sample0'),
                             "record 2 .*: next names 'sample0', whose prev is ''"),
    'next of nobody': ('sample', put(0, 'next', 'gone'),
                       "record 0 .*: next names 'gone', which the table lacks"),
    'prev of nobody': ('sample_data', put(0, 'prev', 'gone'),
                       "record 0 .*: prev names 'gone', which the table lacks"),
    'a sample before its time': ('sample', put(1, 'timestamp', 5),
                                 'record 0 .*: next .* timestamp 5; expected'),
    'a scene that starts elsewhere': (
        'scene', put(0, 'first_sample_token', 'sample3'),
        "record 0 .*: first_sample_token names 'sample3', which is of scene 'scene1'"),
    'a scene that ends early': ('scene', put(0, 'last_sample_token', 'sample1'),
                                'record 0 .*: last_sample_token names'),
    'a scene of no log': ('scene', put(0, 'log_token', 'gone'),
                          "record 0 .*: log_token names 'gone', .* log lacks"),
    'a reading of no pose': ('sample_data', put(4, 'ego_pose_token', 'gone'),
                             'record 4 .*: ego_pose_token names'),
    'a reading of no sensor': ('calibrated_sensor', put(1, 'sensor_token', 'gone'),
                               'record 1 .*: sensor_token names'),
    'a box of no thing': ('sample_annotation', put(0, 'instance_token', 'gone'),
                          'record 0 .*: instance_token names'),
    'a thing of no kind': ('instance', put(0, 'category_token', 'gone'),
                           'record 0 .*: category_token names'),
    'a box of no attribute': ('sample_annotation', put(0, 'attribute_tokens', ['gone']),
                              'record 0 .*: attribute_tokens names'),
    'a log on no map': ('map', put(0, 'log_tokens', []), 'is in no log_tokens'),
    'no map': ('map', list.clear, 'map has no record'),
    'a token twice': ('ego_pose', put(1, 'token', 'ego_pose0'),
                      'record 1 .*: token is that of record 0 too'),
    'no token': ('log', drop('token'), r'record 0 \(token None\): token is missing'),
    'a token that is a list': ('sensor', put(0, 'token', ['a']),
                               'token must be a text'),
    'no time': ('sample', drop('timestamp'), 'record 0 .*: timestamp is missing'),
    'a time in years': ('ego_pose', put(0, 'timestamp', 1e300),
                        'record 0 .*: timestamp must be an integer'),
    'a turn of no length': ('ego_pose', put(3, 'rotation', [0, 0, 0, 0]),
                            'record 3 .*: rotation must be .*quaternion'),
    'a turn of 3 numbers': ('calibrated_sensor', put(0, 'rotation', [1, 0, 0]),
                            'record 0 .*: rotation must be 4 finite'),
    'a place that is not a number': ('sample_annotation', put(
        0, 'translation', [float('nan'), 0, 0]), 'record 0 .*: translation must be'),
    'a distant sensor': ('calibrated_sensor', put(0, 'translation', [1e5, 0, 0]),
                         'record 0 .*: translation must be'),
    'a camera without lens': ('calibrated_sensor', put(1, 'camera_intrinsic', []),
                              'record 1 .*: camera_intrinsic must be 3x3'),
    'a size that is negative': ('sample_annotation', put(0, 'size', [-1, 1, 1]),
                                'record 0 .*: size must be'),
    'a truth that is a text': ('sample_data', put(0, 'is_key_frame', 'yes'),
                               'record 0 .*: is_key_frame must be true or false'),
    'a record that is a number': ('visibility', lambda records: [7],
                                  'record 0 .* must be a record .*got 7'),
    'a table that is an object': ('category', lambda records: {'a': 1},
                                  'must be a list of records'),
    'a scene in another folder': ('scene', put(0, 'name', '../scene-0061'),
                                  'record 0 .*: name must be a name without'),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_table_is_named_before_any_work(root, capsys, case):
    table, change, message = WRONG[case]
    edit(root, table, change)
    assert main([str(root)]) == 1
    error = capsys.readouterr().err
    with pytest.raises(ValueError, match=message):
        prepare(root, VERSION, progress=False)
    assert error.startswith('error: ') and error.count('\n') == 1
    assert table in error and len(error) < 600
    assert not list(root.glob('.*partial')) and not list(root.glob('*.pkl'))


def test_truncated_table_is_named(root):
    path = root / VERSION / 'ego_pose.json'
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match='ego_pose.json is not JSON'):
        prepare(root, VERSION, progress=False)


def test_extend_checks_the_tables_that_it_reads(root):
    prepare(root, VERSION, progress=False)
    path = root / 'nuscenes_infos_val.pkl'
    before = path.read_bytes()
    edit(root, 'sample', put(0, 'scene_token', 7))
    with pytest.raises(ValueError, match='sample.json record 0 .*scene_token must'):
        extend(root, path)
    assert path.read_bytes() == before


def test_wrong_map_is_named_before_any_work(root):
    path = root / 'maps' / 'expansion' / f'{LOCATION}.json'
    records = json.loads(path.read_text())
    angles = np.random.default_rng(0).permutation(200) * np.pi / 100
    records['node'] += [{'token': f'n{i}', 'x': np.cos(a), 'y': np.sin(a)}
                        for i, a in enumerate(angles)]
    records['polygon'][0]['exterior_node_tokens'] = [f'n{i}' for i in range(200)]
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=f'{LOCATION}.json.*drivable_area record 0'):
        prepare(root, VERSION, progress=False)
    assert not list(root.glob('.*partial'))


def test_frames_whose_sensors_are_far_apart_are_named(root):
    poses = json.loads((root / VERSION / 'sample_data.json').read_text())
    camera = next(item for item in poses if '/CAM_FRONT/' in item['filename'])

    def move(records):
        pose = next(item for item in records
                    if item['token'] == camera['ego_pose_token'])
        pose['translation'][0] += 5000.

    edit(root, 'ego_pose', move)
    with pytest.raises(ValueError, match=r'frame 0 .*CAM_FRONT\.lidar2cam must be'):
        prepare(root, VERSION, progress=False)
