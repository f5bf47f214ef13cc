"""Prior maps: the configurations build, what the page shows writes a city."""
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, MODELS, init_default_scope

from ddp_perception.cli.sample_input import input_kind
from ddp_perception.cli.split_loader import same_data
from ddp_perception.datasets.drivable_files import read_city
from tests.datasets.tiny_drivable import write_cities

CONFIGS = Path(__file__).resolve().parents[2] / 'projects/map_prior/configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))


def read(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture
def root(tmp_path):
    """The three cities of the configurations, made."""
    write_cities(tmp_path / 'cities', **{
        'boston-seaport': 4, 'singapore-onenorth': 3, 'singapore-queenstown': 2})
    return tmp_path / 'cities'


@pytest.mark.parametrize('name', NAMES)
def test_configuration_builds_and_keeps_the_test_city_apart(name, root):
    cfg = read(name)
    model = MODELS.build(cfg.model)
    assert model.seg_head.classes == ('drivable_area',)
    assert model.seg_head.output_grid.shape == (200, 200)
    assert model.seg_head.input_grid.shape == (100, 100)
    assert 0.8e6 < sum(p.numel() for p in model.encoder.parameters()) < 1.2e6
    sets = {split: DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset,
                                       data_root=str(root)))
            for split in ('train', 'val', 'test')}
    assert [len(sets[split]) for split in ('train', 'val', 'test')] == [7, 2, 2]
    assert not set(sets['train'].cities) & set(sets['test'].cities)
    np.random.seed(0)
    sample = sets['train'][0]
    assert sample['inputs'].shape == (3, 200, 200)
    assert sample['data_samples'].gt_map_seg.data.shape == (1, 200, 200)
    assert tuple(sets['test'].metainfo['map_classes']) == model.seg_head.classes
    Evaluator(cfg.val_evaluator)
    assert input_kind(cfg) == 'samples'
    # Calibration on the training cities is not calibration on the test's.
    assert same_data(cfg, 'val_dataloader', 'test_dataloader')
    assert not same_data(cfg, 'train_dataloader', 'test_dataloader')


def test_heads_train_equally_long_on_the_same_encoder():
    one, *others = map(read, NAMES)
    assert len(others) == 2
    for other in others:
        for key in ('train_cfg', 'optim_wrapper', 'param_scheduler', 'train_dataloader',
                    'val_dataloader', 'val_evaluator', 'randomness'):
            assert one[key] == other[key]
        assert one.model.encoder == other.model.encoder
    assert {cfg.model.seg_head.type for cfg in (one, *others)} == {
        'ddp.MapSegHead', 'ddp.ConvMapHead'}


def test_shown_city_lies_right_of_and_ahead_of_each_pose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (CONFIGS.parent / 'README.md').read_text()
    block, = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    exec(compile(block, 'README.md', 'exec'), {})
    city = read_city(tmp_path / 'my-city.npz')
    assert city.token.tolist() == ['drive-1-000', 'drive-1-001']
    # A road eastward, 3.2 m north of both poses; drivable 4.8 m south to 9.8 m north.
    (to_east, east_truth), (to_north, north_truth) = city.maps(0), city.maps(1)
    assert not to_east[1:].any() and not to_north[1:].any()
    assert np.unique(np.nonzero(to_east[0])[0]).tolist() == [93]  # on the left
    assert to_east[0, 93].all()
    assert np.unique(np.nonzero(to_north[0])[1]).tolist() == [106]  # ahead
    assert to_north[0, :, 106].all()
    assert (np.nonzero(east_truth[0])[0].min(), np.nonzero(east_truth[0])[0].max()) \
        == (80, 109)
    assert (np.nonzero(north_truth[0])[1].min(), np.nonzero(north_truth[0])[1].max()) \
        == (90, 119)
