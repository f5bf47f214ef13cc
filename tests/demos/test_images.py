"""The demos of segmentation and depth, from data to report, at a tiny size."""
import json

import numpy as np
import pytest
from PIL import Image

from demos import cityscapes, kitti
from tests.synthetic import TINY_CITYSCAPES, TINY_KITTI

CONFIG = """
_base_ = '{base}'
train_cfg = dict(max_iters=2, val_interval=2)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0)
test_dataloader = val_dataloader
param_scheduler = []
model = dict({model})
default_hooks = dict(checkpoint=dict(interval=2))
"""
DECODER = ('decode_head=dict(in_channels=8, decoder=dict(channels=8, num_layers=1, '
           'num_heads=2, num_points=2))')
NECK = ('neck=[dict(type="FPN", in_channels=[32, 64, 128, 256], out_channels=8, '
        'num_outs=4), dict(type="ddp.MultiStageMerging", in_channels=[8] * 4, '
        'out_channels=8)]')


def _write_config(tmp_path, base, *model):
    path = tmp_path / 'tiny_demo.py'
    path.write_text(CONFIG.format(base=base, model=', '.join((DECODER, NECK, *model))))
    return path


def write_cityscapes_config(tmp_path, repository_dir):
    return _write_config(
        tmp_path, repository_dir / cityscapes.DEMO.config,
        'data_preprocessor=dict(size=(96, 192))',
        'auxiliary_head=dict(in_channels=8, channels=8)')


def _run_twice(run, name, config, tmp_path):
    """Run a demo twice; the second run must find everything in place."""
    work = tmp_path / 'work'
    options = ['--config', config, '--work-dir', work, '--data-root',
               tmp_path / 'data', '--workers', '1']
    reports = []
    for _ in range(2):
        run(name, *options)
        reports.append(json.loads((work / 'report.json').read_text()))
    first, second = reports
    assert not first.pop('training_reused') and second.pop('training_reused')
    assert first.pop('seconds_total') and second.pop('seconds_total')
    assert first == second
    assert first['train_samples'] == first['val_samples'] == 2
    assert np.asarray(Image.open(first['picture'])).std() > 10
    return first


def _tested(run, config, tmp_path, *options):
    out = tmp_path / 'figures.json'
    run('test', config, tmp_path / 'work' / 'iter_2.pth', '--data-root',
        tmp_path / 'data', '--work-dir', tmp_path / 'test', '--out', out, *options)
    return json.loads(out.read_text())['metrics']


def test_cityscapes_demo_reports_what_the_command_test_measures(
        run, tmp_path, monkeypatch, repository_dir):
    monkeypatch.setattr(cityscapes, 'DATA', TINY_CITYSCAPES)
    config = write_cityscapes_config(tmp_path, repository_dir)
    report = _run_twice(run, 'demo-cityscapes', config, tmp_path)
    assert 0 < report['miou_constant'] < 1
    for steps, key in ((1, 'miou_1_step'), (3, 'miou_3_steps')):
        figures = _tested(run, config, tmp_path, '--num-steps', steps)
        assert report[key] == pytest.approx(figures['mIoU'] / 100, abs=1e-5)
    logs = ''.join(path.read_text() for path in (tmp_path / 'work').rglob('*.log'))
    for passes in ('1 seed x 1 step', '1 seed x 3 steps'):
        assert f'decoder passes of pred_sem_seg: {passes}' in logs


def test_kitti_demo_reports_what_the_command_test_measures(
        run, tmp_path, monkeypatch, repository_dir):
    monkeypatch.setattr(kitti, 'DATA', {**TINY_KITTI, 'image_size': (416, 128)})
    config = _write_config(tmp_path, repository_dir / kitti.DEMO.config)
    report = _run_twice(run, 'demo-kitti', config, tmp_path)
    assert 0 < report['abs_rel_constant'] < 1
    one = _tested(run, config, tmp_path, '--num-steps', 1)
    three = _tested(run, config, tmp_path)
    assert report['abs_rel_1_step'] == pytest.approx(one['abs_rel'], abs=1e-5)
    for ours, name in (('abs_rel', 'abs_rel'), ('rmse', 'rmse'), ('delta1', 'd1')):
        assert report[f'{ours}_3_steps'] == pytest.approx(three[name], abs=1e-5)
