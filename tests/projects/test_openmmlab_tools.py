"""OpenMMLab's own tools and inference API, as installed, on our configurations.

Nothing of ours runs but what the configurations import: torch reads the
checkpoints with its default, `weights_only=True`.
"""
import json
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import mmdet3d
import mmseg
import numpy as np
import pytest
import torch
from mmdet3d.apis import (
    LidarDet3DInferencer,
    inference_detector,
    inference_multi_modality_detector,
)
from mmdet3d.apis import init_model as init_detector
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.fileio import load as load_pickle
from mmseg.apis import MMSegInferencer, inference_model
from mmseg.apis import init_model as init_segmentor

from ddp_perception.registry import DATASETS, MODELS
from tests.cli.conftest import _forget_runs
from tests.datasets.tiny_camvid import write_tiny_camvid
from tests.detectors.reduced import SMALL_HEAD, settings
from tests.detectors.test_joint_training import on_synthetic

PROJECTS = Path(__file__).resolve().parents[2] / 'projects'
CAMVID = PROJECTS / 'camvid_seg/configs/ddp_efflite0_1xb8-1h_camvid-480x360.py'
FULL_SIZE = sorted(path for path in PROJECTS.glob('*/configs/*.py')
                   if not path.stem.startswith('demo_'))
CLOUD = 'samples/LIDAR_TOP/*.bin'


@pytest.fixture
def tool(monkeypatch):
    """Run a script of an installed package in this process."""
    monkeypatch.setenv('LOCAL_RANK', '0')  # the scripts set it

    def run_tool(package, name, *arguments):
        _forget_runs()
        path = Path(package.__file__).parent / '.mim/tools' / name
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, arguments)])
        runpy.run_path(str(path), run_name='__main__')

    yield run_tool
    _forget_runs()


def read_by_torch(path):
    return torch.load(path, map_location='cpu', weights_only=True)


@pytest.mark.parametrize('path', FULL_SIZE, ids=lambda path: path.stem)
def test_checkpoints_are_written_for_torch_whoever_trains(path):
    assert Config.fromfile(path).default_hooks.checkpoint.type == 'ddp.CheckpointHook'


@pytest.fixture
def camvid(tmp_path):
    """A small configuration of CamVid, its data and its work directory."""
    root = write_tiny_camvid(tmp_path / 'camvid', suffix='.png', height=48, width=64)
    cfg = Config.fromfile(CAMVID)
    cfg.model.backbone.pretrained = False
    cfg.model.data_preprocessor.size = (32, 64)
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.dataset.data_root = str(root)
        for step in loader.dataset.pipeline:
            if 'scale' in step:
                step.scale = (64, 48)
            if 'crop_size' in step:
                step.crop_size = (32, 64)
        loader.update(batch_size=2 if name == 'train' else 1, num_workers=0,
                      persistent_workers=False)
    cfg.train_cfg.update(max_iters=2, val_interval=10 ** 9)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(tmp_path / 'camvid.py')
    return tmp_path / 'camvid.py', root, tmp_path / 'work'


def test_mmseg_trains_resumes_tests_and_predicts(tool, camvid):
    config, root, work = camvid
    trained = work / 'iter_2.pth'
    tool(mmseg, 'train.py', config, '--work-dir', work)
    assert read_by_torch(trained)['meta']['iter'] == 2
    shutil.copy(trained, work.parent)
    trained = work.parent / trained.name  # a further one would remove it
    tool(mmseg, 'train.py', config, '--work-dir', work, '--resume',
         '--cfg-options', 'train_cfg.max_iters=3')
    resumed = read_by_torch(work / 'iter_3.pth')
    assert len(resumed['curves']['train/loss'][0]) == 3  # of both runs
    tool(mmseg, 'test.py', config, trained, '--work-dir', work / 'test')
    figures, = (json.loads(path.read_text())
                for path in (work / 'test').glob('*/*.json'))
    assert 0 <= figures['mIoU'] <= 100

    image = str(root / 'images/val/a_val.png')
    model = init_segmentor(str(config), str(trained), device='cpu')
    labels = inference_model(model, image).pred_sem_seg.data[0].numpy()
    assert labels.shape == (48, 64) and len(np.unique(labels)) > 1
    from_array = inference_model(model, cv2.imread(image))
    np.testing.assert_array_equal(from_array.pred_sem_seg.data[0].numpy(), labels)
    inferencer = MMSegInferencer(str(config), str(trained), device='cpu')
    np.testing.assert_array_equal(inferencer(image)['predictions'], labels)


@pytest.fixture
def joint(synthetic_root, synthetic_infos, tmp_path):
    """PointPillars with the map head, small, on the synthetic frames."""
    cfg = on_synthetic(settings('pointpillars-secfpn'), synthetic_root,
                       synthetic_infos, tmp_path / 'work')
    cfg.train_cfg.update(max_iters=2)
    cfg.default_hooks.checkpoint.interval = 2
    cfg.val_evaluator, cfg.test_evaluator = cfg.val_evaluator[1], cfg.test_evaluator[1]
    cfg.dump(tmp_path / 'joint.py')
    return tmp_path / 'joint.py', tmp_path / 'work'


def test_mmdet3d_trains_resumes_tests_and_predicts_from_points_alone(
        tool, joint, synthetic_root, capsys, monkeypatch):
    config, work = joint
    trained = work / 'iter_2.pth'
    tool(mmdet3d, 'train.py', config)
    assert read_by_torch(trained)['meta']['iter'] == 2
    tool(mmdet3d, 'train.py', config, '--resume', trained, '--cfg-options',
         'train_cfg.max_iters=3', 'default_hooks.checkpoint.interval=3')
    assert read_by_torch(work / 'iter_3.pth')['meta']['iter'] == 3
    tool(mmdet3d, 'test.py', config, trained)
    assert 'map/mean/iou@max' in capsys.readouterr().out

    cloud = str(next(synthetic_root.glob(CLOUD)))
    # As the inferencers do, it builds the model with train_cfg=None.
    model = init_detector(str(config), str(trained), device='cpu')
    sample, _ = inference_detector(model, cloud)
    assert sample.pred_map_seg.data.shape == (6, 40, 28)
    points = np.fromfile(cloud, np.float32).reshape(-1, 5)
    both, _ = inference_detector(model, [points, points])
    assert ['pred_map_seg' in one for one in both] == [True, True]
    monkeypatch.setattr(  # rich draws a bar otherwise
        'mmdet3d.apis.inferencers.base_3d_inferencer.track', lambda items, **_: items)
    inferencer = LidarDet3DInferencer(str(config), str(trained), device='cpu')
    found, = inferencer(dict(points=cloud))['predictions']
    assert found['scores_3d'] == sample.pred_instances_3d.scores_3d.tolist()


def flat_frame(root, info_file, folder):
    """Copy a frame's images and sweep, and its record, into one folder."""
    folder.mkdir()
    frame = load_pickle(info_file)['data_list'][0]
    record = {'images': frame['images'], 'timestamp': frame['timestamp'],
              'token': frame['token']}
    for name, view in frame['images'].items():
        shutil.copy(root / f'samples/{name}' / view['img_path'], folder)
    (folder / 'info.json').write_text(json.dumps({'data_list': [record]}))
    return root / 'samples/LIDAR_TOP' / frame['lidar_points']['lidar_path']


def test_multi_modality_api_of_mmdet3d_predicts_what_the_data_set_does(
        synthetic_root, synthetic_infos, tmp_path):
    cfg = Config.fromfile(PROJECTS / 'nuscenes_map_seg/configs/demo_fusion_cpu.py')
    cfg.merge_from_dict(dict(model=dict(seg_head=dict(
        {key: value for key, value in SMALL_HEAD.items() if key != 'output_grid'},
        decoder_grid=None))))
    dataset = cfg.test_dataloader.dataset
    base = Config.fromfile(PROJECTS / 'nuscenes_map_seg/configs/_base_/nus-map.py')
    dataset.box_type_3d = base.test_dataloader.dataset.box_type_3d
    # mmdet3d hands on no earlier sweeps.
    dataset.pipeline = [step for step in dataset.pipeline
                        if step['type'] != 'ddp.LoadSweeps']
    init_detector(cfg.copy(), device='cpu')  # as a user without data may
    torch.manual_seed(0)
    weights = {'state_dict': MODELS.build(cfg.model).state_dict(),
               'meta': {'dataset_meta': {'classes': ('car', )}}}
    torch.save(weights, tmp_path / 'fusion.pth')
    model = init_detector(cfg, str(tmp_path / 'fusion.pth'), device='cpu')
    cloud = flat_frame(synthetic_root, synthetic_infos['val'], tmp_path / 'frame')
    sample, _ = inference_multi_modality_detector(
        model, str(cloud), str(tmp_path / 'frame'),
        str(tmp_path / 'frame/info.json'), cam_type='all')
    dataset.update(data_root=str(synthetic_root), ann_file=str(synthetic_infos['val']))
    with torch.no_grad():
        expected, = model.test_step(pseudo_collate([DATASETS.build(dataset)[0]]))
    assert 'gt_map_seg' in expected and 'gt_map_seg' not in sample
    assert torch.equal(sample.pred_map_seg.data, expected.pred_map_seg.data)
