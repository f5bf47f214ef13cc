"""`ddp-perception test` of segmentation and depth."""
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tests.datasets.tiny_kitti import DRIVES, line, write_tiny_kitti

CONFIGS = Path(__file__).parent / 'configs'
PASSES = '2 seeds x 5 steps, last step only (2 of 10 passes)'


def write_cityscapes(root):
    generator = np.random.default_rng(0)
    for name in ('a', 'b', 'c'):
        for folder, end, values in (
                ('leftImg8bit', 'leftImg8bit', generator.integers(0, 256, (40, 80, 3))),
                ('gtFine', 'gtFine_labelTrainIds', generator.integers(0, 3, (40, 80)))):
            path = root / folder / 'val' / 'town' / f'{name}_{end}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), values.astype(np.uint8))


def write_kitti(root):
    write_tiny_kitti(root, height=40, width=80)
    (root / 'split.txt').write_text('\n'.join(
        line(drive, frame) for drive in DRIVES for frame in range(2)))


def test_what_cannot_be_written_is_said_before_the_test(error_of, tmp_path):
    weights = tmp_path / 'weights.pth'
    weights.touch()  # never read
    for option, place, words in (
            ('--out', tmp_path, 'is a folder'),
            ('--out', weights / 'new' / 'figures.json', 'weights.pth is no folder'),
            ('--show-dir', weights, 'weights.pth is no folder')):
        message = error_of('test', CONFIGS / 'evaluate_seg.py', weights, option, place,
                           '--work-dir', tmp_path / 'work')
        assert option in message and words in message
    message = error_of('test', CONFIGS / 'evaluate_seg.py', weights, '--confusion',
                       tmp_path / 'a.json', '--work-dir', tmp_path / 'work')
    assert '--confusion must name a .png file' in message and 'a.json' in message
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('config, write, figure, names', [
    ('evaluate_seg', write_cityscapes, 'mIoU',
     ['a_leftImg8bit', 'c_leftImg8bit']),
    ('evaluate_flip', write_cityscapes, 'mIoU',
     ['a_leftImg8bit', 'c_leftImg8bit']),
    ('evaluate_depth', write_kitti, 'abs_rel',
     [f'{DRIVES[0]}__image_02__data__0000000000',
      f'{DRIVES[1]}__image_02__data__0000000001']),
])
def test_figures_passes_and_pictures(run, tmp_path, config, write, figure, names):
    write(tmp_path / 'data')
    path = CONFIGS / f'{config}.py'
    random_weights(path, tmp_path / 'weights.pth')
    run('test', path, tmp_path / 'weights.pth', '--data-root', tmp_path / 'data',
        '--work-dir', tmp_path / 'work', '--out', tmp_path / 'figures.json',
        '--show-dir', tmp_path / 'shown', '--show-limit', 2,
        '--num-steps', 5, '--num-seeds', 2)
    record = json.loads((tmp_path / 'figures.json').read_text())
    assert record['metrics'][figure] >= 0
    assert list(record['decoder_passes'].values()) == [
        {'seeds': 2, 'steps': 5, 'averaged': 2}]
    assert record['configuration'] == str(path)
    assert record['checkpoint'] == str(tmp_path / 'weights.pth')
    assert sorted(file.stem for file in (tmp_path / 'shown').iterdir()) == names
    log = next((tmp_path / 'work').rglob('*.log')).read_text()
    field, = record['decoder_passes']
    assert log.count(f'decoder passes of {field}: {PASSES}') == 1
    assert re.search(figure, log)
    assert 'one pass' not in log
    assert record['mean_steps'] == {field: 5.}
    run('test', path, tmp_path / 'weights.pth', '--data-root', tmp_path / 'data',
        '--work-dir', tmp_path / 'stable', '--out', tmp_path / 'stable.json',
        '--num-steps', 5, '--until-stable', 1)
    record = json.loads((tmp_path / 'stable.json').read_text())
    assert record['mean_steps'] == {field: 2.}  # any second step is stable
    log = next((tmp_path / 'stable').rglob('*.log')).read_text()
    assert 'at most: 2.000 steps on average over ' in log


def random_weights(config, path):
    init_default_scope('mmseg')
    settings = Config.fromfile(config).model
    torch.manual_seed(0)
    model = MODELS.build(settings.get('module', settings))
    torch.save({'state_dict': model.state_dict()}, path)
    return path


def test_confusion_is_drawn_and_agrees_with_the_figures(run, tmp_path):
    write_cityscapes(tmp_path / 'data')
    config = CONFIGS / 'evaluate_seg.py'
    weights = random_weights(config, tmp_path / 'weights.pth')
    run('test', config, weights, '--data-root', tmp_path / 'data', '--work-dir',
        tmp_path / 'work', '--out', tmp_path / 'figures.json', '--confusion',
        tmp_path / 'new' / 'confusion.png')
    content = json.loads((tmp_path / 'new' / 'confusion.json').read_text())
    assert content['samples'] == 3 and content['classes'][0] == 'road'
    counts = np.array(content['counts'])
    hits = counts.diagonal()
    assert counts.sum(1).tolist() == content['cells'] and (counts > 0).sum() == 3
    with np.errstate(invalid='ignore'):
        iou = 100 * np.nanmean(hits / (counts.sum(0) + counts.sum(1) - hits))
    figures = json.loads((tmp_path / 'figures.json').read_text())['metrics']
    assert figures['mIoU'] == pytest.approx(iou, abs=0.006)
    assert cv2.imread(str(tmp_path / 'new' / 'confusion.png')).std() > 10


def test_confusion_of_depth_is_refused(error_of, tmp_path):
    write_kitti(tmp_path / 'data')
    config = CONFIGS / 'evaluate_depth.py'
    weights = random_weights(config, tmp_path / 'weights.pth')
    message = error_of('test', config, weights, '--data-root', tmp_path / 'data',
                       '--work-dir', tmp_path / 'work', '--confusion',
                       tmp_path / 'a.png')
    assert 'the model predicts pred_depth_map' in message
