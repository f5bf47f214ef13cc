"""A rig of one's own: the configuration builds, predicts, trains; the page is true."""
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from data_tools.synthetic_custom import write_synthetic_custom
from ddp_perception.cli.main import COMMANDS, command_parser, main
from ddp_perception.datasets import BEVDataset
from ddp_perception.datasets.bev_frames import FRAME
from ddp_perception.evaluation.constant_map import (
    evaluate_constant_map,
    iter_masks,
    training_frequency,
)
from tests.projects.test_readmes import command_lines

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'projects/own_data/configs/four_cameras_lidar_cpu.py'
PAGE = ROOT / 'docs/own_data.md'
INLINE = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
          'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0']


@pytest.fixture
def checkpoint(tmp_path):
    """Random weights of the configuration's model."""
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmdet3d')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'random.pth')
    return tmp_path / 'random.pth'


def test_configuration_fits_the_rig_and_its_own_parts(custom_root):
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmdet3d')
    model = MODELS.build(cfg.model)
    assert model.seg_head.classes == ('road', 'walkway')
    assert model.seg_head.output_grid.shape == (80, 120)
    assert model.view_transform.output_shape[1:] == (52, 78)
    for split in ('train', 'val'):
        settings = dict(cfg[f'{split}_dataloader'].dataset, data_root=str(custom_root))
        assert settings.pop('type') == 'ddp.BEVDataset'
        sample = BEVDataset(**settings)[0]
        assert sample['inputs']['img'].shape == (4, 3, *cfg.final_dim)
        assert sample['inputs']['points'].shape[1] == 4
        assert sample['data_samples'].gt_map_seg.data.shape == (2, 80, 120)


def test_frames_are_predicted_with_and_without_a_map(custom_root, checkpoint, tmp_path):
    out = tmp_path / 'out'
    assert main(['predict', str(CONFIG), str(checkpoint), str(custom_root), '--limit',
                 '1', '--out', str(out), '--cfg-options', *INLINE]) == 0
    with np.load(out / 'val_000_000.npz') as saved:
        assert saved['probabilities'].shape == (2, 80, 120)
        assert saved['classes'].tolist() == ['road', 'walkway']
        np.testing.assert_allclose(saved['ybound'], (-15, 45, .5))
    width, height = Image.open(out / 'val_000_000.png').size
    content = json.loads((custom_root / 'val.json').read_text())
    frame = content['frames'][0]
    del content['maps'], frame['map']
    for camera in frame['cameras'].values():
        camera['image'] = str(custom_root / camera['image'])
    frame['lidar']['points'] = str(custom_root / frame['lidar']['points'])
    (tmp_path / 'one.json').write_text(json.dumps({**content, 'frames': [frame]}))
    assert main(['predict', str(CONFIG), str(checkpoint), str(tmp_path / 'one.json'),
                 '--out', str(tmp_path / 'one'), '--cfg-options', *INLINE]) == 0
    with np.load(out / 'val_000_000.npz') as known, np.load(
            tmp_path / 'one/val_000_000.npz') as alone:
        np.testing.assert_array_equal(known['probabilities'], alone['probabilities'])
    # Without a true map beside it there is no error below, and less to show.
    assert Image.open(tmp_path / 'one/val_000_000.png').size != (width, height)


def test_a_missing_list_is_answered_with_the_page(tmp_path, capsys):
    assert main(['train', str(CONFIG), '--data-root', str(tmp_path), '--work-dir',
                 str(tmp_path / 'work')]) == 2
    error = capsys.readouterr().err
    assert 'list of frames' in error and 'docs/own_data.md' in error
    assert f'ddp-perception prepare custom {tmp_path}' in error


def test_snippet_of_the_page_writes_a_list_that_is_sound(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block, = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.S)
    for folder in ('images', 'points'):
        (tmp_path / 'data/my_rig' / folder).mkdir(parents=True)
    for name in ('front', 'rear'):
        Image.new('RGB', (640, 400)).save(tmp_path / f'data/my_rig/images/{name}_0.jpg')
    np.zeros((7, 4), np.float32).tofile(tmp_path / 'data/my_rig/points/0.bin')
    exec(compile(block, PAGE.name, 'exec'), {})
    assert main(['prepare', 'custom', 'data/my_rig']) == 0
    out = capsys.readouterr().out
    assert 'train.json: 1 frame of 1 scene' in out and 'camera rear: 640 x 400' in out
    road = float(re.search(r'class road: ([\d.]+)%', out)[1])
    assert road == pytest.approx(7., abs=.8)  # 7 m wide through all 100 m
    content = json.loads((tmp_path / 'data/my_rig/train.json').read_text())
    front = np.array(content['frames'][0]['cameras']['front']['sensor2ego'])
    down = np.radians(3)  # it looks ahead and a little down; its right is -y
    np.testing.assert_allclose(front[:3, 2], (np.cos(down), 0, -np.sin(down)),
                               atol=1e-9)
    np.testing.assert_allclose(front[:3, 0], (0, -1, 0), atol=1e-9)


def test_links_and_commands_of_the_page_are_there():
    text = PAGE.read_text()
    for target in re.findall(r'\]\(([^)#]+?)\)', text):
        assert target.startswith('https://') or (PAGE.parent / target).exists(), target
    names = set()
    for name, *arguments in command_lines(text):
        module = importlib.import_module(COMMANDS[name][0])
        command_parser(name, module).parse_args(arguments)
        names.add(name)
    assert names == {'synthesize', 'prepare', 'train', 'test', 'predict'}


def test_fields_of_the_page_are_those_that_are_read():
    tables = set(re.findall(r'^\| `(\w+)` \|', PAGE.read_text(), re.M))
    fields = {key.rstrip('{}') for key in FRAME}
    for inner in ('cameras{}', 'lidar'):
        fields |= set(FRAME[inner])
    assert tables == fields | {'format', 'classes', 'maps', 'frames', 'map_grid',
                               'cameras', 'point_values', 'decoder_grid'}


@pytest.mark.slow
def test_a_rig_of_ones_own_is_learnt_within_minutes(tmp_path):
    root = write_synthetic_custom(tmp_path / 'rig', train_drives=10, val_drives=3,
                                  frames=5, workers=2, progress=False)
    common = ['--data-root', str(root), '--work-dir', str(tmp_path / 'work')]
    assert main(['prepare', 'custom', str(root)]) == 0
    assert main(['train', str(CONFIG), *common, '--seed', '0']) == 0
    checkpoint, = (tmp_path / 'work').glob('epoch_*.pth')
    out = tmp_path / 'figures.json'
    assert main(['test', str(CONFIG), str(checkpoint), *common, '--out', str(out)]) == 0
    metrics = json.loads(out.read_text())['metrics']
    cfg = Config.fromfile(CONFIG)
    train, val = (BEVDataset(root, f'{split}.json') for split in ('train', 'val'))
    from ddp_perception.datasets.transforms import LoadBEVMasks
    load = LoadBEVMasks(*cfg.map_grid, cfg.map_classes)
    constant = evaluate_constant_map(training_frequency(iter_masks(train, load)),
                                     iter_masks(val, load), cfg.map_classes)
    for name in ('map/road/iou@max', 'map/walkway/iou@max'):
        assert metrics[name] > constant[name] + .05, (metrics, constant)
