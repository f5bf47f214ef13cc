"""Wrong info files: one line that names file, frame and key, before any sample."""
import copy
import json
import math
import pickle

import numpy as np
import pytest
from mmengine.config import Config

from ddp_perception.cli.errors import UserError
from ddp_perception.cli.prediction import build_dataset
from ddp_perception.registry import DATASETS

from .tiny_nuscenes import LOCATION

PIPELINE = [
    dict(type='ddp.LoadMultiViewImages'), dict(type='ddp.LoadPoints'),
    dict(type='ddp.LoadSweeps', sweeps_num=1), dict(type='ddp.LoadMapMasks'),
    dict(type='ddp.PackMapInputs')]


@pytest.fixture(scope='module')
def content(tiny_root):
    return pickle.loads((tiny_root / 'nuscenes_infos_val.pkl').read_bytes())


def build(root, path, **options):
    return DATASETS.build(dict(
        type='ddp.NuScenesMapDataset', data_root=str(root), ann_file=str(path),
        **{'pipeline': PIPELINE, **options}))


def predict_frames(root, path):
    cfg = Config(dict(default_scope='mmdet3d', test_dataloader=dict(dataset=dict(
        type='ddp.NuScenesMapDataset', data_root='', ann_file='',
        pipeline=PIPELINE))))
    return build_dataset(cfg, path, root)


def put(where, value):
    """Return an edit of frame 1 at a dotted key; lists are indexed."""
    def apply(content):
        node = content['data_list'][1]
        *path, last = [int(key) if key.isdigit() else key
                       for key in where.split('.')]
        for key in path:
            node = node[key]
        if value is put:
            del node[last]
        else:
            node[last] = value
    return apply


FRONT = 'images.CAM_FRONT.'
SWEEP = 'lidar_sweeps.0.'
MIRROR = np.diag([1., -1., 1., 1.])
FAR = np.eye(4)
FAR[0, 3] = 1e12
WRONG = {
    'a text for a matrix': (FRONT + 'cam2img', 'x', r'images\.CAM_FRONT\.cam2img '
                            'must be 3x3 finite numbers'),
    'a 2x2 matrix': (FRONT + 'cam2img', [[1., 0.], [0., 1.]], 'cam2img must be 3x3'),
    'a ragged matrix': (FRONT + 'cam2img', [[1., 0.], [0.]], 'cam2img must be 3x3'),
    'negative focal length': (FRONT + 'cam2img', [[-9., 0, 5], [0, 9., 5], [0, 0, 1]],
                              'cam2img must .*focal lengths above 0'),
    'no focal length': (FRONT + 'cam2img', np.diag([0., 9., 1.]),
                        'cam2img must .*focal lengths above 0'),
    'texts of numbers': (FRONT + 'lidar2cam', np.eye(4).astype(str).tolist(),
                         'lidar2cam must be 4x4 finite numbers'),
    'a scaled pose': (FRONT + 'lidar2cam', np.diag([2., 2., 2., 1.]).tolist(),
                      r'CAM_FRONT\.lidar2cam must be .*rotation'),
    'a mirrored pose': ('lidar_points.lidar2ego', MIRROR,
                        r'lidar_points\.lidar2ego must be .*rotation'),
    'a distant sensor': ('lidar_points.lidar2ego', FAR.tolist(),
                         'lidar2ego must be .*at most 1000 m'),
    'a distant vehicle': ('ego2global', FAR.tolist(),
                          r'\): ego2global must be .*1e\+08'),
    'an infinite pose': ('ego2global', np.full((4, 4), np.inf), 'ego2global must'),
    'a pose that is not a number': ('ego2global', np.full((4, 4), np.nan).tolist(),
                                    'ego2global must'),
    'no pose': ('ego2global', put, 'ego2global is missing'),
    'no calibration': (FRONT + 'lidar2cam', put, r'CAM_FRONT\.lidar2cam is missing'),
    'a path of bytes': (FRONT + 'img_path', b'a.png', r'CAM_FRONT\.img_path must be a '
                        'text'),
    'an empty path': ('lidar_points.lidar_path', '', r'lidar_path must be a text'),
    'a list of images': ('images', [], r'\): images must be a dictionary'),
    'an image that is a number': ('images.CAM_BACK', 3, r'images\.CAM_BACK must be a '
                                  'record'),
    'a camera less': ('images.CAM_BACK', put, 'images must hold the cameras of frame '
                      "0, they differ in .'CAM_BACK'"),
    'no images': ('images', put, 'images is missing'),
    'points that are nothing': ('lidar_points', None, 'lidar_points must be a record'),
    'no number of features': ('lidar_points.num_pts_feats', put,
                              r'lidar_points\.num_pts_feats is missing'),
    'a time in microseconds': ('timestamp', 1.5e15,
                               r'\): timestamp must be .*from 0 to 4102444800'),
    'an infinite time': (SWEEP + 'timestamp', math.inf,
                         r'lidar_sweeps\[0\]\.timestamp must be'),
    'no time beside sweeps': ('timestamp', put, r'\): timestamp is missing'),
    'a time that is true': ('timestamp', True, 'timestamp must be'),
    'sweeps that are a text': ('lidar_sweeps', 'abc', 'lidar_sweeps must be a list'),
    'a sweep without points': (SWEEP + 'lidar_points', put,
                               r'lidar_sweeps\[0\]\.lidar_points is missing'),
    'a sweep of no pose': (SWEEP + 'lidar_points.lidar2sensor', np.zeros((4, 4)),
                           r'lidar_sweeps\[0\]\.lidar_points\.lidar2sensor must be'),
    'a place in another folder': ('map_location', '../../elsewhere',
                                  'map_location must be a name'),
    'a number as a token': ('token', 5, r'frame 1 \(token 5\): token must be'),
    'a box of 3 numbers': ('instances.0.bbox_3d', [1., 2., 3.],
                           r'instances\[0\]\.bbox_3d must be 7 finite numbers'),
    'an infinite box': ('instances.0.bbox_3d', [math.inf] * 7, 'bbox_3d must be 7'),
    'an unknown class': ('instances.0.bbox_label_3d', 77,
                         r'instances\[0\]\.bbox_label_3d must be an integer from -1'),
    'a label that is nothing': ('instances.0.bbox_label', None,
                                r'instances\[0\]\.bbox_label must be an integer'),
    'an infinite velocity': ('instances.0.velocity', [math.inf, 0.],
                             r'instances\[0\]\.velocity must be'),
    'boxes that are nothing': ('instances', None, 'instances must be a list'),
    'a count that is a text': ('instances.0.num_lidar_pts', '4', 'num_lidar_pts must'),
    'half a surrogate pair': (FRONT + 'img_path', '\ud800', 'img_path must be a text'),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_value_is_named(tiny_root, content, tmp_path, case):
    where, value, message = WRONG[case]
    changed = copy.deepcopy(content)
    put(where, value)(changed)
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(changed))
    with pytest.raises(ValueError, match=message) as raised:
        build(tiny_root, path)
    assert f'{path}: frame 1 (token ' in str(raised.value)
    assert '\n' not in str(raised.value) and len(str(raised.value)) < 600


@pytest.mark.parametrize('data,message', [
    ({'infos': []}, 'format v2'),
    ([], 'format v2'),
    ({'metainfo': [], 'data_list': []}, 'metainfo must be a dict'),
    ({'metainfo': {}, 'data_list': {'a': 1}}, 'data_list must be a list'),
    ({'metainfo': {}, 'data_list': [3]}, 'frame 0 .* must be a record .*got 3'),
    ({'metainfo': {'version': 4}, 'data_list': []}, 'metainfo.version must be a name'),
])
@pytest.mark.parametrize('suffix', ['.pkl', '.json'])
def test_file_of_another_structure_is_named(tiny_root, tmp_path, data, message, suffix):
    path = tmp_path / f'infos{suffix}'
    path.write_bytes(pickle.dumps(data) if suffix == '.pkl'
                     else json.dumps(data).encode())
    for read in (build, predict_frames):
        with pytest.raises((ValueError, UserError), match=message) as raised:
            read(tiny_root, path)
        assert str(path) in str(raised.value)


@pytest.mark.parametrize('suffix', ['.pkl', '.json'])
def test_truncated_file_is_named(tiny_root, content, tmp_path, suffix):
    path = tmp_path / f'infos{suffix}'
    whole = (pickle.dumps(content, protocol=4) if suffix == '.pkl'
             else json.dumps(content).encode())
    for share in (.001, .5, .999):
        path.write_bytes(whole[:int(len(whole) * share)])
        for read in (build, predict_frames):
            with pytest.raises((ValueError, UserError),
                               match=f'infos{suffix} (cannot be read|is not JSON)'):
                read(tiny_root, path)


def test_predict_says_in_one_line_which_frame_is_wrong(tiny_root, content, tmp_path):
    changed = copy.deepcopy(content)
    put(FRONT + 'cam2img', 'x')(changed)
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(changed))
    with pytest.raises(UserError, match=r'infos\.pkl: frame 1 .*CAM_FRONT\.cam2img'):
        predict_frames(tiny_root, path)


def test_only_the_first_wrong_frame_of_many_is_named(tiny_root, content, tmp_path):
    changed = copy.deepcopy(content)
    changed['data_list'] = [copy.deepcopy(frame) for frame in content['data_list']
                            for _ in range(100)]
    for index in (211, 250):
        changed['data_list'][index]['images']['CAM_BACK']['cam2ego'] = [[1.]]
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(changed))
    with pytest.raises(ValueError, match=r'frame 211 .*images\.CAM_BACK\.cam2ego'):
        build(tiny_root, path)


def test_wrong_map_is_named_when_the_data_set_is_built(tiny_root, content, tmp_path):
    expansion = tiny_root / 'maps' / 'expansion' / f'{LOCATION}.json'
    records = json.loads(expansion.read_text())
    records['node'][0]['x'] = math.nan
    root = tmp_path / 'root'
    (root / 'maps' / 'expansion').mkdir(parents=True)
    (root / 'maps' / 'expansion' / expansion.name).write_text(json.dumps(records))
    (root / 'infos.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=f'{LOCATION}.json.*node record 0'):
        build(root, 'infos.pkl')
