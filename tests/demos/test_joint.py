"""The report of the joint demo, and its two models from one configuration."""
import json
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from ddp_perception.cli.main import command_parser
from demos import joint, training

PREFIX = 'NuScenes metric/pred_instances_3d_NuScenes/'


@pytest.fixture
def cfg(repository_dir):
    return Config.fromfile(repository_dir / joint.DEMO.config)


def test_detector_alone_is_the_bare_one_with_its_own_metric(cfg):
    alone = joint.detector_alone(cfg)
    assert alone.model.type == 'CenterPoint'
    assert [m['type'] for m in alone.test_evaluator] == ['NuScenesMetric']
    assert cfg.model.type == 'ddp.WithMapHead' and len(cfg.test_evaluator) == 3
    assert alone.train_dataloader == cfg.train_dataloader
    assert alone.optim_wrapper == cfg.optim_wrapper


def test_report_holds_the_figures_of_both_models(cfg, tmp_path, monkeypatch, capsys):
    """Everything but data, training and evaluation, which have their own tests."""
    trained, head = [], SimpleNamespace(
        classes=('lane', ), passes=dict(seeds=1, steps=3, averaged=1))
    monkeypatch.setattr(joint.JointDemo, 'make_data', lambda self, root, workers: None)
    monkeypatch.setattr(training, 'train', lambda cfg, data_root, fresh: (
        trained.append((cfg.model.type, cfg.work_dir))
        or training.Trained('x.pth', 30., False)))

    def evaluate(cfg, checkpoint):
        if cfg.model.type != 'ddp.WithMapHead':
            return 'runner', {f'{PREFIX}NDS': .3, f'{PREFIX}mAP': .2}
        return 'runner', {
            f'{PREFIX}NDS': .31, f'{PREFIX}mAP': .21, 'map/lane/iou@max': .4,
            'map/mean/iou@max': .4, 'step_1/map/mean/iou@max': .1}
    monkeypatch.setattr(training, 'evaluate', evaluate)
    monkeypatch.setattr(joint.JointDemo, 'constant', lambda self, cfg: (
        {'miou_constant_map': .2}, dict(train_samples=8, val_samples=4)))
    monkeypatch.setattr(joint.JointDemo, 'draw',
                        lambda self, runner, figures, path: path)
    monkeypatch.setattr(joint.JointDemo, 'head', lambda self, runner: head)
    parser = command_parser('demo-joint', joint)
    args = parser.parse_args(
        ['--work-dir', str(tmp_path)])
    assert joint.run(args) == 0
    report = json.loads((tmp_path / 'report.json').read_text())
    assert {name: report[name] for name in (
        'miou_1_step', 'miou_3_steps', 'miou_constant_map', 'nds', 'detection_map',
        'nds_detector_alone', 'detection_map_detector_alone')} == {
            'miou_1_step': .1, 'miou_3_steps': .4, 'miou_constant_map': .2, 'nds': .31,
            'detection_map': .21, 'nds_detector_alone': .3,
            'detection_map_detector_alone': .2}
    assert report['seconds_train'] == {'detector': 30., 'joint': 30.}
    assert [kind for kind, _ in trained] == ['CenterPoint', 'ddp.WithMapHead']
    assert len({folder for _, folder in trained}) == 2
    printed = capsys.readouterr().out
    assert '2/5  the detector alone' in printed and '5/5  picture' in printed
    assert '0.3100' in printed
