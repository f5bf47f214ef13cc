"""The depth map that ignores its image, evaluated by the command."""
import json

import cv2
import numpy as np
import pytest

from ddp_perception.cli.main import main
from tests.datasets.tiny_kitti import frame_paths, line, write_png

DRIVE = '2011_09_26_drive_0002_sync'
TRAIN, TEST = range(5), range(5, 8)
CONFIG = """
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
default_scope = 'mmseg'
load = [dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
        dict(type='ddp.KBCrop', height=40, width=56)]
data = dict(type='ddp.KITTIDepthDataset', data_root='data/none', ann_file='list.txt',
            pipeline=load)
train_dataloader = dict(dataset=dict(data, indices=5))
test_dataloader = dict(dataset=dict(data, indices=[5, 6, 7]))
test_evaluator = dict(type='ddp.KITTIDepthMetric', max_depth=60., crop='garg')
"""


@pytest.fixture
def root(tmp_path):
    """Random sparse depth, of which each row's and each column's level differs."""
    rng = np.random.default_rng(0)
    shape = (44, 60)
    level = rng.uniform(2, 70, shape[0])[:, None] + rng.uniform(-1, 1, shape)
    for frame in (*TRAIN, *TEST):
        depth = level * rng.uniform(.7, 1.3, shape)
        depth[rng.random(shape) < .6] = 0
        depth[30:33] = 0 if frame in TRAIN else 9  # rows never measured in training
        depth[:, 50:] *= frame in TEST  # nor these pixels
        image, path = frame_paths(DRIVE, frame)
        write_png(tmp_path / 'input' / image, np.zeros((*shape, 3), np.uint8))
        write_png(tmp_path / 'gt_depth' / path, (depth * 256).astype(np.uint16))
    (tmp_path / 'list.txt').write_text(
        '\n'.join(line(DRIVE, frame) for frame in (*TRAIN, *TEST)))
    (tmp_path / 'config.py').write_text(CONFIG)
    return tmp_path


def read(root, frame):
    path = root / 'gt_depth' / frame_paths(DRIVE, frame)[1]
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return stored[4:, 2:58].astype(np.float64) / 256  # the crop of 40 x 56


def naive_abs_rel(root):
    """Pixel by pixel, as the command's help says it."""
    training = [read(root, frame) for frame in TRAIN]
    every = [float(v) for depth in training for v in depth.flat if v > 0]
    errors = []
    for frame in TEST:
        truth, relative = read(root, frame), []
        for row in range(int(.40810811 * 40), int(.99189189 * 40)):
            for column in range(int(.03594771 * 56), int(.96405229 * 56)):
                true = truth[row, column]
                if not .001 < true < 60:
                    continue
                values = [depth[row, column] for depth in training
                          if depth[row, column] > 0]
                values = values or [float(v) for depth in training
                                    for v in depth[row] if v > 0]
                median = min(np.median(values or every), 60)
                relative.append(abs(median - true) / true)
        errors.append(sum(relative) / len(relative))
    return sum(errors) / len(errors)


def test_command_agrees_with_a_loop_over_pixels(root, tmp_path, capsys):
    out = tmp_path / 'baseline.json'
    assert main(['baseline', str(root / 'config.py'), '--data-root', str(root),
                 '--out', str(out)]) == 0
    written = json.loads(out.read_text())
    expected = naive_abs_rel(root)
    assert written['metrics']['abs_rel'] == pytest.approx(expected, rel=1e-5)
    assert (written['train_samples'], written['val_samples']) == (5, 3)
    assert f'abs_rel   {expected:.4f}' in capsys.readouterr().out


def test_other_tasks_are_refused(root, capsys):
    config = root / 'config.py'
    config.write_text(CONFIG + "test_evaluator = dict(type='IoUMetric')\n")
    assert main(['baseline', str(config), '--data-root', str(root)]) == 2
    assert 'must be ddp.KITTIDepthMetric, got IoUMetric' in capsys.readouterr().err
