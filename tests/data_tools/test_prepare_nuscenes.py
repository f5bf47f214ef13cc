"""Info files from nuScenes tables."""
import copy
import importlib.util
import json
import pickle
import shutil
from pathlib import Path

import mmdet3d
import numpy as np
import pytest
import torch
from mmdet3d.datasets import NuScenesDataset
from mmdet3d.evaluation import NuScenesMetric
from mmdet3d.structures import LiDARInstance3DBoxes
from mmengine.structures import InstanceData
from nuscenes import NuScenes
from nuscenes.utils.geometry_utils import BoxVisibility, view_points

import data_tools.prepare_nuscenes as module
from data_tools.nuscenes_infos import CAMERAS, CLASSES
from data_tools.prepare_nuscenes import extend, prepare
from ddp_perception.cli.main import main
from tests.datasets.tiny_nuscenes import LOCATION, write_tiny_nuscenes


@pytest.fixture(scope='module')
def pristine(tmp_path_factory):
    return write_tiny_nuscenes(tmp_path_factory.mktemp('nuscenes') / 'root')


@pytest.fixture
def root(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / 'root'))


@pytest.fixture(scope='module')
def infos(pristine, tmp_path_factory):
    out = tmp_path_factory.mktemp('infos')
    files = prepare(pristine, 'v1.0-mini', out_dir=out, progress=False)
    return {split: pickle.loads(path.read_bytes())
            for split, path in files.items()}


def edit_table(root, table, change, version='v1.0-mini'):
    path = root / version / f'{table}.json'
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))


def test_splits_follow_the_scene_names(infos):
    assert {split: {frame['scene_name'] for frame in content['data_list']}
            for split, content in infos.items()} == {
                'train': {'scene-0061'}, 'val': {'scene-0103'}}
    for content in infos.values():
        assert [frame['sample_idx'] for frame in content['data_list']] == [
            0, 1, 2]
        assert content['metainfo']['version'] == 'v1.0-mini'
        assert content['metainfo']['info_version'] == '1.1'
        assert content['metainfo']['map_version'] == '1.3'
        assert content['metainfo']['categories']['barrier'] == 9


def test_frames_hold_the_map_fields(infos, pristine):
    nusc = NuScenes('v1.0-mini', str(pristine), verbose=False)
    for frame in infos['val']['data_list']:
        scene = nusc.get('scene', nusc.get('sample', frame['token'])[
            'scene_token'])
        assert frame['map_location'] == LOCATION
        assert frame['scene_token'] == scene['token']
        assert frame['log_token'] == scene['log_token']


def test_matrices_agree_with_the_devkits_chain(infos, pristine):
    # The devkit moves the car's box into each camera in its own way.
    nusc = NuScenes('v1.0-mini', str(pristine), verbose=False)
    checked = 0
    for frame in infos['train']['data_list']:
        sample = nusc.get('sample', frame['token'])
        box = nusc.get_box(sample['anns'][0])
        lidar_from_global = np.linalg.inv(
            np.array(frame['ego2global'])
            @ frame['lidar_points']['lidar2ego'])
        corners = np.vstack([box.corners(), np.ones(8)])
        in_lidar = lidar_from_global @ corners
        for name in CAMERAS:
            camera = frame['images'][name]
            _, boxes, intrinsic = nusc.get_sample_data(sample['data'][name],
                                                       BoxVisibility.ANY)
            for seen in boxes:
                expected = view_points(seen.corners(), intrinsic, True)
                found = view_points(
                    (np.array(camera['lidar2cam']) @ in_lidar)[:3],
                    np.array(camera['cam2img']), True)
                np.testing.assert_allclose(found, expected, atol=1e-6)
                checked += 1
    assert checked >= 3


def test_boxes_are_the_annotated_ones_in_the_lidar_frame(infos, pristine):
    nusc = NuScenes('v1.0-mini', str(pristine), verbose=False)
    for frame in infos['train']['data_list']:
        sample = nusc.get('sample', frame['token'])
        _, boxes, _ = nusc.get_sample_data(sample['data']['LIDAR_TOP'])
        instance, = frame['instances']
        ours = LiDARInstance3DBoxes(
            np.array([instance['bbox_3d']], np.float32), origin=(.5, .5, .5))
        expected = boxes[0].corners().T
        # mmdet3d's boxes only turn about z: without the vehicle's tilt.
        apart = np.linalg.norm(
            ours.corners[0].numpy()[:, None] - expected, axis=2)
        assert apart.min(0).max() < .05 and apart.min(1).max() < .05
        assert instance['bbox_label_3d'] == instance['bbox_label'] == 0
        assert instance['bbox_3d_isvalid'] is True
        # Ahead by 8.2 m/s, seen in the LiDAR frame: forward is y.
        speed = np.linalg.norm(instance['velocity'])
        assert instance['velocity'][1] > .9 * speed > 4


def test_sweeps_lead_back_through_the_scene(infos):
    frames = infos['train']['data_list']
    assert 'lidar_sweeps' not in frames[0]  # as mmdet3d tells none
    assert [len(frame['lidar_sweeps']) for frame in frames[1:]] == [2, 4]
    last = frames[2]
    times = [sweep['timestamp'] for sweep in last['lidar_sweeps']]
    np.testing.assert_allclose(np.subtract(last['timestamp'], times),
                               [.1, .5, .6, 1.], atol=1e-5)
    paths = [sweep['lidar_points']['lidar_path'].split('/')[0]
             for sweep in last['lidar_sweeps']]
    assert paths == ['sweeps', 'samples', 'sweeps', 'samples']
    for sweep in last['lidar_sweeps']:
        chain = (np.linalg.inv(np.array(sweep['ego2global'])
                               @ sweep['lidar_points']['lidar2ego'])
                 @ last['ego2global'] @ last['lidar_points']['lidar2ego'])
        np.testing.assert_allclose(sweep['lidar_points']['lidar2sensor'],
                                   chain, atol=1e-9)


def test_mmdet3ds_own_data_set_reads_the_files(pristine, root):
    prepare(root, 'v1.0-mini', progress=False)
    dataset = NuScenesDataset(
        str(root), 'nuscenes_infos_val.pkl', data_prefix=dict(
            pts='samples/LIDAR_TOP', sweeps='sweeps/LIDAR_TOP',
            **{name: f'samples/{name}' for name in CAMERAS}),
        modality=dict(use_camera=True, use_lidar=True))
    info = dataset.get_data_info(1)
    files = [info['lidar_path'],
             *(view['img_path'] for view in info['images'].values()),
             *(sweep['lidar_points']['lidar_path']
               for sweep in info['lidar_sweeps'])]
    assert len(files) == 9 and all(Path(path).is_file() for path in files)
    assert info['ann_info']['gt_bboxes_3d'].tensor.shape == (1, 9)
    assert dataset.num_ins_per_cat[0] == 3


def test_files_agree_with_mmdet3ds_converter(infos, root, monkeypatch):
    """Compare with its tool, which some wheels carry outside the package."""
    tools = Path(mmdet3d.__file__).parent / '.mim/tools/dataset_converters'
    if not (tools / 'update_infos_to_v2.py').is_file():
        pytest.skip('this mmdet3d does not carry its conversion tools')

    def load(name):
        spec = importlib.util.spec_from_file_location(
            f'mmdet3d_tools_{name}', tools / f'{name}.py')
        tool = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tool)
        return tool

    data = root.parent / 'data'
    data.mkdir()
    (data / 'nuscenes').symlink_to(root)
    monkeypatch.chdir(root.parent)  # the tool insists on ./data/nuscenes
    load('nuscenes_converter').create_nuscenes_infos(
        str(root), 'theirs', 'v1.0-mini')
    for split in ('train', 'val'):
        path = root / f'theirs_infos_{split}.pkl'
        load('update_infos_to_v2').update_nuscenes_infos(str(path), str(root))
        theirs = pickle.loads(path.read_bytes())
        ours = copy.deepcopy(infos[split])
        assert ours['metainfo'].items() >= theirs['metainfo'].items()
        for mine, other in zip(ours['data_list'], theirs['data_list'],
                               strict=True):
            other.pop('cam_instances', None)  # optional, for mono3d
            for sweep in other.get('lidar_sweeps', []):  # theirs hold the root
                sweep['lidar_points']['lidar_path'] = str(
                    Path(sweep['lidar_points']['lidar_path']).absolute(
                    ).relative_to(root))
                assert sweep['lidar_points'].pop('num_pts_feats') is None
            for added in ('map_location', 'scene_token', 'scene_name',
                          'log_token'):
                mine.pop(added)
            _assert_alike(mine, other)


def _assert_alike(ours, theirs, where='frame'):
    if isinstance(theirs, dict):
        assert set(theirs) == set(ours), where
        for key in theirs:
            _assert_alike(ours[key], theirs[key], f'{where}.{key}')
    elif isinstance(theirs, list) and theirs and isinstance(theirs[0], dict):
        assert len(ours) == len(theirs), where
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            _assert_alike(*pair, f'{where}[{index}]')
    elif isinstance(theirs, str):
        assert ours == theirs, where
    else:  # theirs are rounded to float32
        np.testing.assert_allclose(ours, theirs, atol=2e-4, rtol=1e-6,
                                   err_msg=where)


def test_extend_changes_nothing_else(root, infos, tmp_path):
    plain = copy.deepcopy(infos['val'])
    del plain['metainfo']['map_version']
    for frame in plain['data_list']:
        for key in ('map_location', 'scene_token', 'scene_name', 'log_token'):
            del frame[key]
        frame['cam_instances'] = {'CAM_FRONT': [1]}  # a user's own
    for name, dump in (('a.pkl', pickle.dumps),
                       ('a.json', lambda x: json.dumps(x).encode())):
        path = tmp_path / name
        path.write_bytes(dump(plain))
        assert extend(root, path) == 3
        content = module.read_infos(path)
        assert content['metainfo'] == infos['val']['metainfo']
        for frame, before, full in zip(
                content['data_list'], plain['data_list'],
                infos['val']['data_list'], strict=True):
            assert frame['map_location'] == LOCATION
            assert frame == {**before, **{key: full[key] for key in (
                'map_location', 'scene_token', 'scene_name', 'log_token')}}


def test_extend_names_unknown_frames_and_wrong_files(root, infos, tmp_path):
    other = copy.deepcopy(infos['val'])
    other['data_list'][1]['token'] = 'elsewhere'
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(other))
    before = path.read_bytes()
    with pytest.raises(ValueError, match='1 of 3 frames.*elsewhere'):
        extend(root, path)
    assert path.read_bytes() == before
    path.write_bytes(pickle.dumps({'infos': []}))
    with pytest.raises(ValueError, match='format v2'):
        extend(root, path)
    with pytest.raises(FileNotFoundError, match='gone.pkl'):
        extend(root, tmp_path / 'gone.pkl')
    other['metainfo']['version'] = 'odd'
    path.write_bytes(pickle.dumps(other))
    with pytest.raises(FileNotFoundError, match='a.pkl is of version odd.*missing'):
        extend(root, path)


def test_interrupted_run_goes_on_where_it_stopped(root, monkeypatch):
    real, calls = module.infos.frame_info, []

    def fail_late(nusc, sample, max_sweeps):
        calls.append(sample['token'])
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(nusc, sample, max_sweeps)

    monkeypatch.setattr(module.infos, 'frame_info', fail_late)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, 'v1.0-mini', progress=False)
    assert not list(root.glob('*.pkl'))
    monkeypatch.setattr(module.infos, 'frame_info',
                        lambda *args: calls.append('again') or real(*args))
    files = prepare(root, 'v1.0-mini', progress=False)
    assert calls.count('again') == 3  # only the unfinished scene
    assert not list(root.glob('.*partial'))
    again = {split: path.read_bytes() for split, path in files.items()}
    prepare(root, 'v1.0-mini', overwrite=True, progress=False)
    assert again == {split: path.read_bytes()
                     for split, path in files.items()}


def test_a_change_of_options_discards_unfinished_work(root, monkeypatch):
    real = module.write_infos

    def stop_at_the_end(path, content):
        if path.name == 'nuscenes_infos_train.pkl':
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(module, 'write_infos', stop_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, 'v1.0-mini', progress=False)
    monkeypatch.setattr(module, 'write_infos', real)
    files = prepare(root, 'v1.0-mini', max_sweeps=1, progress=False)
    content = module.read_infos(files['train'])
    assert [len(frame.get('lidar_sweeps', []))
            for frame in content['data_list']] == [0, 1, 1]


def test_existing_files_are_kept_unless_asked(root, capsys):
    path = root / 'nuscenes_infos_val.pkl'
    path.write_bytes(b"the user's own")
    assert main(['prepare', 'nuscenes', str(root)]) == 1
    assert '--overwrite' in capsys.readouterr().err
    assert path.read_bytes() == b"the user's own"
    assert main(['prepare', 'nuscenes', str(root), '--overwrite']) == 0
    assert path.read_bytes() != b"the user's own"
    assert main(['prepare', 'nuscenes', str(root), '--prefix', 'mine', '--out-dir',
                 str(root / 'new')]) == 0
    assert (root / 'new' / 'mine_infos_train.pkl').is_file()
    assert main(['prepare', 'nuscenes', str(root), '--extend',
                 'nuscenes_infos_val.pkl']) == 0
    assert '3 frames' in capsys.readouterr().out


def test_missing_sensor_files_are_counted_and_listed(root):
    lost = sorted((root / 'samples').rglob('*CAM_FRONT__*'))[:2]
    lost += sorted((root / 'sweeps').rglob('*.bin'))[:1]
    for path in lost:
        path.unlink()
    with pytest.raises(FileNotFoundError, match='3 sensor files.*1 of 2 scene'
                       ) as raised:
        prepare(root, 'v1.0-mini', progress=False)
    for path in lost:
        assert str(path.relative_to(root)) in str(raised.value)
    files = prepare(root, 'v1.0-mini', skip_incomplete=True, progress=False)
    counts = [len(module.read_infos(path)['data_list'])
              for path in files.values()]
    assert counts == [0, 3]


def test_missing_tables_maps_and_roots_are_named(root, capsys):
    with pytest.raises(FileNotFoundError, match='nowhere is not a folder'):
        prepare(root / 'nowhere', 'v1.0-mini')
    assert main(['prepare', 'nuscenes', '/nosuch']) == 1  # no version asked for
    assert '/nosuch is not a folder' in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match='v1.0-trainval.*v1.0-mini'):
        prepare(root, 'v1.0-trainval')
    with pytest.raises(ValueError, match="v1.0-mini.*got 'mini'"):
        prepare(root, 'mini')
    expansion = root / 'maps' / 'expansion' / f'{LOCATION}.json'
    kept = expansion.read_bytes()
    expansion.unlink()
    assert main(['prepare', 'nuscenes', str(root), '--version', 'v1.0-mini']) == 1
    assert f'{LOCATION}.json' in capsys.readouterr().err
    expansion.write_bytes(kept)
    (root / 'maps' / 'ground.png').unlink()
    with pytest.raises(FileNotFoundError, match='maps/ground.png'):
        prepare(root, 'v1.0-mini')
    for table in ('log', 'ego_pose'):
        (root / 'v1.0-mini' / f'{table}.json').unlink()
    with pytest.raises(FileNotFoundError, match='ego_pose.json, log.json'):
        prepare(root, 'v1.0-mini')


def test_a_sample_without_a_camera_is_named(root):
    def remove(records):
        records[:] = [record for record in records
                      if 'CAM_BACK__1500000000500000' not in
                      record['filename'].replace('485', '500').replace(
                          '475', '500').replace('480', '500')]
        first = next(record for record in records
                     if '/CAM_BACK/' in record['filename'])
        records.remove(first)

    edit_table(root, 'sample_data', remove)
    with pytest.raises(ValueError, match='sample0 has no key frame of CAM_BACK by '
                       'sample_data.json'):
        prepare(root, 'v1.0-mini', progress=False)


def test_scenes_outside_every_split_are_an_error(root):
    edit_table(root, 'scene', lambda records: [
        record.update(name='scene-9999') for record in records])
    with pytest.raises(ValueError, match='none of the 2 scenes'):
        prepare(root, 'v1.0-mini', progress=False)


def test_test_split_has_one_file_without_boxes(tmp_path):
    root = write_tiny_nuscenes(tmp_path, 'v1.0-test', ('scene-0077', ))
    for table in ('sample_annotation', 'instance'):
        edit_table(root, table, list.clear, 'v1.0-test')
    assert main(['prepare', 'nuscenes', str(root)]) == 0
    content = module.read_infos(root / 'nuscenes_infos_test.pkl')
    assert [frame['instances'] for frame in content['data_list']] == [[]] * 3


def test_mmdet3ds_metric_evaluates_on_the_files(root):
    """Feed the annotated boxes back: average precision 1 for the cars."""
    prepare(root, 'v1.0-mini', progress=False)
    path = root / 'nuscenes_infos_val.pkl'
    metric = NuScenesMetric(str(root), str(path))
    metric.dataset_meta = {'classes': CLASSES, 'version': 'v1.0-mini'}
    for frame in module.read_infos(path)['data_list']:
        instance, = frame['instances']
        box = torch.tensor([instance['bbox_3d'] + instance['velocity']])
        metric.results.append({
            'pred_instances_3d': InstanceData(
                bboxes_3d=LiDARInstance3DBoxes(box, box_dim=9,
                                               origin=(.5, .5, .5)),
                scores_3d=torch.tensor([.9]), labels_3d=torch.tensor([0])),
            'pred_instances': InstanceData(),
            'sample_idx': frame['sample_idx']})
    figures = metric.evaluate(3)
    name = 'NuScenes metric/pred_instances_3d_NuScenes'
    assert figures[f'{name}/car_AP_dist_0.5'] == pytest.approx(1)
    assert figures[f'{name}/car_trans_err'] < .01
    assert figures[f'{name}/car_orient_err'] < .01
    assert figures[f'{name}/car_vel_err'] < .1
