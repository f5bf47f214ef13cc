import json

import numpy as np
import pytest
import torch
from PIL import Image

from ddp_perception.datasets.map_classes import MAP_CLASSES

CAMERAS = ('CAM_FRONT', 'CAM_FRONT_RIGHT', 'CAM_FRONT_LEFT', 'CAM_BACK',
           'CAM_BACK_LEFT', 'CAM_BACK_RIGHT')
# One point 10.5 m to the right and 21 m ahead, one 5.5 m to the left.
POINTS = np.array([[10.5, 21, 0, 1, 0], [-5.5, 1, 0, 1, 0]], np.float32)


def _write_frames(folder, tokens):
    """A flat folder as a camera rig would leave it: images, sweeps, info."""
    frames = []
    for index, token in enumerate(tokens):
        images = {}
        for name in CAMERAS:
            file = f'log__{name}__{index}.jpg'
            Image.fromarray(np.full((9, 16, 3), 90, np.uint8)).save(folder / file)
            images[name] = {
                'img_path': file, 'cam2img': [[8, 0, 8], [0, 8, 4], [0, 0, 1]],
                'cam2ego': np.eye(4).tolist(), 'lidar2cam': np.eye(4).tolist(),
                'timestamp': float(index), 'sample_data_token': f'{token}{name}'}
        POINTS.tofile(folder / f'log__LIDAR_TOP__{index}.pcd.bin')
        frames.append({
            'sample_idx': index, 'token': token, 'timestamp': float(index),
            'ego2global': np.eye(4).tolist(), 'images': images,
            'lidar_points': {'num_pts_feats': 5, 'lidar2ego': np.eye(4).tolist(),
                             'lidar_path': f'log__LIDAR_TOP__{index}.pcd.bin'}})
    content = {'metainfo': {'dataset': 'nuscenes', 'version': 'v1.0-mini',
                            'info_version': '1.1', 'categories': {}},
               'data_list': frames}
    (folder / 'info.json').write_text(json.dumps(content))
    return folder / 'info.json'


@pytest.fixture
def info_file(tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    return _write_frames(folder, ['first', 'second'])


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': {'weight': torch.zeros(2)}}, path)
    return path


def test_predict_writes_probabilities_and_a_picture_per_frame(
        run, points_config, checkpoint, info_file, tmp_path):
    out = tmp_path / 'maps'
    run('predict', points_config, checkpoint, info_file, '--out', out,
        '--device', 'cpu')
    assert sorted(path.name for path in out.iterdir()) == [
        'first.npz', 'first.png', 'second.npz', 'second.png']
    with np.load(out / 'second.npz') as data:
        assert data['classes'].tolist() == list(MAP_CLASSES)
        np.testing.assert_array_equal(data['xbound'], [-20, 20, 1])
        np.testing.assert_array_equal(data['ybound'], [-30, 30, 2])
        maps = data['probabilities']
    assert maps.shape == (6, 40, 30) and maps.dtype == np.float16
    # x = 10.5 lies in cell 30 of axis 1, y = 21 in cell 25 of axis 2.
    found = np.argwhere(maps[2] > 0.5).tolist()
    assert found == [[14, 15], [30, 25]]
    assert Image.open(out / 'first.png').size[0] == 1500


def test_predict_writes_the_boxes_of_a_joint_model(
        run, repository_dir, info_file, tmp_path):
    from ddp_perception.cli import configuration, prediction
    config = (repository_dir / 'projects' / 'map_head_for_your_detector' / 'configs'
              / 'demo_joint_cpu.py')
    model = prediction.build_model(configuration.load_config(config),
                                   torch.device('cpu'))
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'joint.pth')
    out = tmp_path / 'maps'
    run('predict', config, tmp_path / 'joint.pth', info_file, '--out', out, '--limit',
        1, '--device', 'cpu')
    assert sorted(path.name for path in out.iterdir()) == [
        'first.npz', 'first.png', 'first_boxes.json']
    content = json.loads((out / 'first_boxes.json').read_text())
    assert content['token'] == 'first' and len(content['columns']) == 9
    assert {len(box) for box in content['bboxes_3d']} == {9}
    assert len(content['names']) == len(content['scores_3d']) > 0
    assert set(content['names']) <= {
        'car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier',
        'motorcycle', 'bicycle', 'pedestrian', 'traffic_cone'}


@pytest.mark.parametrize('token', [
    '../../outside', '{tmp}/outside', 'folder/frame', 'x' * 400])
def test_predict_stays_in_its_folder_whatever_a_token_says(
        run, points_config, checkpoint, tmp_path, token):
    token = token.format(tmp=tmp_path)
    folder = tmp_path / 'deep' / 'frames'
    folder.mkdir(parents=True)
    info = _write_frames(folder, [token, 'second', 'Second'])
    before = set(tmp_path.rglob('*'))
    out = tmp_path / 'deep' / 'maps'
    run('predict', points_config, checkpoint, info, '--out', out)
    new = set(tmp_path.rglob('*')) - before - {out}
    assert all(path.parent == out for path in new) and len(new) == 6
    kept = set()
    for path in out.glob('*.npz'):
        with np.load(path) as data:
            kept.add(str(data['token']))
    assert kept == {token, 'second', 'Second'}
    assert (out / 'second.npz').is_file()


def test_predict_of_one_frame_says_so_and_writes_no_bar_into_a_log(
        run, points_config, checkpoint, info_file, tmp_path, capsys):
    run('predict', points_config, checkpoint, info_file, '--out', tmp_path / 'maps',
        '--limit', '1', '--no-pictures', '--device', 'cpu')
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == f'1 map in {tmp_path / "maps"}'
    assert 'predicting' not in said.err


def test_predict_limits_frames_and_can_leave_pictures_out(
        run, points_config, checkpoint, info_file, tmp_path):
    out = tmp_path / 'maps'
    run('predict', points_config, checkpoint, info_file, '--out', out,
        '--limit', 1, '--no-pictures', '--data-prefix', 'flat')
    assert [path.name for path in out.iterdir()] == ['first.npz']


def test_predict_takes_a_root_in_nuscenes_folders(
        run, error_of, points_config, checkpoint, info_file, tmp_path):
    import pickle
    root = tmp_path / 'root'
    for name in (*CAMERAS, 'LIDAR_TOP'):
        folder = root / 'samples' / name
        folder.mkdir(parents=True)
        for file in info_file.parent.glob(f'*__{name}__*'):
            file.rename(folder / file.name)
    assert 'ddp-perception prepare nuscenes' in error_of(
        'predict', points_config, checkpoint, root)
    content = json.loads(info_file.read_text())
    (root / 'nuscenes_infos_val.pkl').write_bytes(pickle.dumps(content))
    run('predict', points_config, checkpoint, root, '--out', tmp_path / 'maps',
        '--no-pictures')
    assert (tmp_path / 'maps' / 'second.npz').is_file()


def test_predict_names_a_frame_that_cannot_be_loaded_and_keeps_the_others(
        error_of, points_config, checkpoint, info_file, tmp_path):
    lidar = info_file.parent / 'log__LIDAR_TOP__1.pcd.bin'
    lidar.write_bytes(lidar.read_bytes()[:-3])
    message = error_of('predict', points_config, checkpoint, info_file, '--out',
                       tmp_path / 'maps')
    assert 'frame second' in message and 'LIDAR_TOP__1' in message
    assert (tmp_path / 'maps' / 'first.npz').is_file()
    assert not (tmp_path / 'maps' / 'second.npz').exists()


@pytest.mark.parametrize('arguments, fragment', [
    (['CONFIG', 'CKPT', 'nowhere'], 'nowhere is neither a file nor a folder'),
    (['CONFIG', 'CKPT', 'CKPT'], 'must be an info file'),
    (['CONFIG', 'none.pth', 'INFO'], 'none.pth does not exist'),
    (['CONFIG', 'CKPT', 'INFO', '--device', 'cuda:7'], 'torch sees'),
    (['CONFIG', 'CKPT', 'INFO', '--device', 'gpu'], '--device gpu'),
    (['CONFIG', 'CKPT', 'INFO', '--limit', '0'], 'at least 1, got 0'),
    (['CONFIG', 'CKPT', 'EMPTY'], 'has no frames'),
    (['CONFIG', 'CKPT', 'OTHER'], 'not an info file of format v2'),
    (['CONFIG', 'WRONG', 'INFO'], 'does not fit'),
])
def test_predict_says_what_is_wrong(error_of, points_config, checkpoint,
                                    info_file, tmp_path, arguments, fragment):
    empty, other = tmp_path / 'empty.json', tmp_path / 'other.json'
    empty.write_text('{"metainfo": {}, "data_list": []}')
    other.write_text('[1, 2]')
    wrong = tmp_path / 'wrong.pth'
    torch.save({'state_dict': {'weight': torch.zeros(3)}}, wrong)
    names = {'CONFIG': points_config, 'CKPT': checkpoint, 'INFO': info_file,
             'EMPTY': empty, 'OTHER': other, 'WRONG': wrong}
    message = error_of('predict', *(names.get(a, a) for a in arguments), '--out',
                       tmp_path / 'maps')
    assert fragment in message


def test_predict_draws_the_real_frame(run, points_config, checkpoint, real_dir,
                                      tmp_path):
    info = real_dir / 'nuscenes_sample' / 'info.json'
    run('predict', points_config, checkpoint, info, '--out', tmp_path)
    token = 'ca9a282c9e77460f8360f564131a8af5'
    with np.load(tmp_path / f'{token}.npz') as data:
        occupied = (data['probabilities'][0] > 0.5).mean()
    assert 0.2 < occupied < 0.9
    assert (tmp_path / f'{token}.png').stat().st_size > 300_000


@pytest.mark.parametrize('truth', [True, False])
def test_frames_of_mmdet3ds_own_data_set_load_without_further_options(
        repository_dir, synthetic_root, synthetic_infos, truth):
    """A detector's configuration: paths and map come from the root alone."""
    from mmengine.config import Config

    from ddp_perception.cli.prediction import build_dataset
    configs = repository_dir / 'projects/map_head_for_your_detector/configs'
    cfg = Config.fromfile(configs / 'centerpoint-pillar_map.py')
    dataset = build_dataset(cfg, synthetic_infos['val'], synthetic_root, truth=truth,
                            limit=1)
    assert type(dataset).__name__ == 'NuScenesDataset' and len(dataset) == 1
    sample = dataset[0]
    file = dataset.get_data_info(0)['lidar_points']['lidar_path']
    own = np.fromfile(file, np.float32).reshape(-1, 5)[:, :3]
    points = sample['inputs']['points'].numpy()[:, :3]
    seen = {tuple(point) for point in points.round(3).tolist()}
    inside = own[(np.abs(own) < (51.2, 51.2, 3.)).all(1)]
    assert len(inside) > 100
    assert all(tuple(p) in seen for p in inside[::50].round(3).tolist())
    assert ('gt_map_seg' in sample['data_samples']) == truth
    if truth:
        map_cfg = Config.fromfile(repository_dir / 'projects/nuscenes_map_seg/configs/'
                                  'ddp_lidar_3step_8xb4-20e_nus-map.py')
        expected = build_dataset(map_cfg, synthetic_infos['val'], synthetic_root,
                                 limit=1)[0]['data_samples'].gt_map_seg.data
        assert expected.any()
        assert torch.equal(sample['data_samples'].gt_map_seg.data, expected)
