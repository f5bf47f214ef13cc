"""One real KITTI drive: its configurations train and test."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from ddp_perception.cli.main import main
from ddp_perception.cli.truth_only import build_datasets
from tests.datasets.tiny_kitti import frame_paths, line, write_png, write_tiny_kitti

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/kitti_depth/configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*_drive_cpu.py'))
DRIVE = '2011_09_26_drive_0002_sync'
ONE_ITERATION = ['train_cfg.max_iters=1', 'train_cfg.val_interval=1',
                 'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
                 'train_dataloader.persistent_workers=False',
                 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0',
                 'model.backbone.pretrained=False',
                 'default_hooks.checkpoint.interval=1']


def read(name, root=None):
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    if root:
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(root)
    return cfg


def write_list(root, frames):
    (root / 'frames.txt').write_text(
        '\n'.join(line(DRIVE, frame) for frame in range(frames)))
    return root


def image_names(dataset):
    return [Path(dataset.get_data_info(index)['img_path']).stem
            for index in range(len(dataset))]


@pytest.mark.parametrize('frames', [52, 60])
def test_forty_frames_train_and_the_next_twelve_are_evaluated(frames, tmp_path):
    root = write_list(write_tiny_kitti(tmp_path, [DRIVE], frames, 2, 3), frames)
    train, test = build_datasets(read(NAMES[0], root))
    names = [f'{number:010d}' for number in range(52)]
    assert image_names(train) == names[:40]
    assert image_names(test) == names[40:]


def test_a_list_too_short_for_the_frames_of_the_test_is_refused(tmp_path):
    root = write_list(write_tiny_kitti(tmp_path, [DRIVE], 45, 2, 3), 45)
    with pytest.raises(ValueError, match='45 usable frames'):
        build_datasets(read(NAMES[0], root))


def test_the_heads_are_trained_alike():
    settings = []
    for name in NAMES:
        cfg = read(name)
        head = cfg.model.pop('decode_head')
        settings.append((cfg.to_dict(), {key: head[key] for key in (
            'type', 'in_channels', 'min_depth', 'max_depth', 'scale_up', 'decoder',
            'loss_decode')}))
    assert len(settings) == 2 and settings[0] == settings[1]


@torch.no_grad()
@pytest.mark.parametrize('name', NAMES)
def test_images_of_half_size_are_decoded_at_stride_four(name):
    with torch.device('meta'):
        model = MODELS.build(read(name).model).eval()
        level, = model.extract_feat(torch.empty(2, 3, 176, 608))
    assert level.shape == (2, 64, 44, 152)


def train_and_test(name, root, work, *options):
    config, common = str(CONFIGS / f'{name}.py'), ['--data-root', str(root)]
    assert main(['train', config, *common, '--work-dir', str(work / 'train'),
                 '--cfg-options', *ONE_ITERATION, *options]) == 0
    trained, out = str(work / 'train/iter_1.pth'), work / 'figures.json'
    assert main(['test', config, trained, *common, '--work-dir', str(work / 'test'),
                 '--out', str(out), '--cfg-options', *ONE_ITERATION, *options]) == 0
    return trained, json.loads(out.read_text())['metrics']


@pytest.fixture
def street(tmp_path):
    """Three frames of KITTI's size: a plane below a wall, sparsely measured."""
    rng, rows = np.random.default_rng(0), np.arange(375)[:, None]
    depth = np.clip(1500 / np.maximum(rows - 150, 1), 4, 60) * np.ones((1, 1242))
    for frame in range(3):
        image, path = frame_paths(DRIVE, frame)
        shade = np.broadcast_to(4 * depth[..., None] + 5 * frame, (375, 1242, 3))
        write_png(tmp_path / 'input' / image, shade.astype(np.uint8))
        measured = depth * (rng.random(depth.shape) < .04)
        write_png(tmp_path / 'gt_depth' / path, (measured * 256).astype(np.uint16))
    return write_list(tmp_path, 3)


@pytest.mark.parametrize('name', NAMES)
def test_an_iteration_then_a_test_and_a_prediction_at_full_size(
        name, street, tmp_path):
    trained, figures = train_and_test(
        name, street, tmp_path, 'train_dataloader.dataset.indices=2',
        'val_dataloader.dataset.indices=[2]', 'test_dataloader.dataset.indices=-1')
    assert 0 < figures['abs_rel'] < 20
    image = street / 'input' / frame_paths(DRIVE, 2)[0]
    assert main(['predict', str(CONFIGS / f'{name}.py'), trained, str(image), '--out',
                 str(tmp_path / 'out'), '--no-pictures']) == 0
    written = cv2.imread(str(tmp_path / 'out/0000000002_depth.png'),
                         cv2.IMREAD_UNCHANGED)
    assert written.shape == (375, 1242) and written.dtype == np.uint16
    inside = np.zeros(written.shape, bool)
    inside[23:, 13:13 + 1216] = True  # the benchmark's crop
    assert (written[inside] > 0).all() and not written[~inside].any()


def test_an_iteration_on_the_real_drive(real_dir, tmp_path):
    root = real_dir / 'kitti_drive'
    train, test = build_datasets(read(NAMES[0], root))
    assert (len(train), len(test)) == (40, 12)
    _, figures = train_and_test(
        NAMES[0], root, tmp_path, 'val_dataloader.dataset.indices=[40]',
        'test_dataloader.dataset.indices=[40,51]')
    assert 0 < figures['abs_rel'] < 20
