"""The configurations that the page shows: full size, short, and right."""
import ast
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from ddp_perception.compat import patch_numpy_long
from ddp_perception.datasets.map_classes import MAP_CLASSES
from ddp_perception.registry import METRICS, MODELS, TRANSFORMS

PROJECT = Path(__file__).resolve().parents[2] / 'projects/map_head_for_your_detector'
NAMES = sorted(path.stem for path in (PROJECT / 'configs').glob('*_map*.py'))
DEMO = 'demo_joint_cpu'
# Extent and cells that follow from each stock configuration by hand:
# range, voxel size times the stride of its neck.
SCOPES = {'centerpoint-pillar': (51.2, .2 * 4, 384), 'centerpoint-voxel': (
    51.2, .1 * 8, 512), 'pointpillars-secfpn': (50., .25 * 2, 384),
    'pointpillars-fpn': (50., .25 * 2, 256), 'bevfusion-lidar': (51.2, .1 * 8, 512)}


def load(name):
    init_default_scope('mmdet3d')
    return Config.fromfile(PROJECT / 'configs' / f'{name}.py')


@pytest.mark.parametrize('name', NAMES)
def test_configuration_builds_at_full_size(name):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    extent, cell, channels = SCOPES[name.split('_')[0]]
    grid = model.seg_head.input_grid
    for bound in (grid.xbound, grid.ybound):
        assert bound == pytest.approx((-extent, extent, cell))
    assert model.seg_head.in_channels == channels
    assert model.seg_head.bev_axes == ('xy' if 'bevfusion' in name else 'yx')
    assert model.seg_head.output_grid.shape == (200, 200)
    assert model.seg_head.classes == MAP_CLASSES
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert [item['type'] for item in evaluator] == ['NuScenesMetric',
                                                        'ddp.MapIoUMetric']
        METRICS.build(evaluator[1])


@pytest.mark.parametrize('name', NAMES)
def test_pipelines_are_the_stock_ones_with_the_map(name):
    cfg = load(name)
    patch_numpy_long()
    train = cfg.train_dataloader.dataset.get('dataset', cfg.train_dataloader.dataset)
    for dataset, stock in ((train, cfg.train_pipeline),
                           (cfg.val_dataloader.dataset, cfg.test_pipeline),
                           (cfg.test_dataloader.dataset, cfg.test_pipeline)):
        kinds = [step['type'] for step in dataset.pipeline]
        assert kinds == [step['type'] for step in stock[:-1]] + [
            'ddp.LoadMapMasks', 'ddp.PackMapInputs']
        for step in dataset.pipeline:
            if step['type'] != 'ObjectSample':  # wants its data base of objects
                TRANSFORMS.build(step)


@pytest.mark.parametrize('name', [f'{name}_map' for name in SCOPES
                                  if name != 'bevfusion-lidar'])
def test_difference_to_the_stock_configuration_is_at_most_eight_lines(name):
    text = (PROJECT / 'configs' / f'{name}.py').read_text()
    counted = 0
    for node in ast.parse(text).body:
        target = node.targets[0].id
        if not target.startswith(
                ('_base_', 'custom_', 'default_hooks')) and 'evaluator' not in target:
            counted += node.end_lineno - node.lineno + 1
    assert 4 <= counted <= 8
    assert "_base_ = 'mmdet3d::" in text


def test_frozen_configuration_trains_the_map_head_alone():
    model = MODELS.build(load('centerpoint-pillar_map-only').model).train()
    trained = {name.split('.')[0] for name, parameter in model.named_parameters()
               if parameter.requires_grad}
    assert trained == {'seg_head'}
    assert not any(module.training for module in model.detector.modules())


def test_groups_give_the_new_head_its_own_rate():
    cfg = load('centerpoint-pillar_map-groups')
    model = MODELS.build(cfg.model)
    assert (model.detector_weight, model.seg_head.map_loss.loss_weight) == (.5, 2.)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    names = dict(zip(map(id, model.parameters()), (
        name for name, _ in model.named_parameters()), strict=True))
    lr = cfg.optim_wrapper.optimizer.lr
    rates = {}
    for group in groups:
        for parameter in group['params']:
            if id(parameter) not in names:  # mmengine's own, holds the base rate
                assert parameter.dim() == 0
                continue
            part = names[id(parameter)].split('.')[0]
            rates.setdefault(part, set()).add(round(group['lr'] / lr, 6))
    assert rates == {'detector': {.1}, 'seg_head': {1.}}


def test_demo_builds_and_its_pipelines_too():
    cfg = load(DEMO)
    model = MODELS.build(cfg.model)
    assert model.seg_head.input_grid.shape == (64, 64)
    assert model.seg_head.input_grid.xbound == pytest.approx((-51.2, 51.2, 1.6))
    for step in (*cfg.train_pipeline, *cfg.test_pipeline):
        TRANSFORMS.build(step)


def test_page_shows_files_as_they_are():
    page = (PROJECT / 'README.md').read_text()
    shown = re.findall(r'`configs/([\w.-]+)\.py`:?\n+```python\n(.*?)```', page,
                       re.DOTALL)
    assert len(shown) >= 3
    for name, text in shown:
        assert text == (PROJECT / 'configs' / f'{name}.py').read_text(), name
    assert DEMO in page
    links = re.findall(r'\]\((?!https?://)([^)#]+)\)', page)
    assert links and all((PROJECT / link).exists() for link in links)
    assert all(name in page for name in NAMES)
