"""The report of the joint demo, and its two models from one configuration."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData

from ddp_perception.cli.main import command_parser
from ddp_perception.visualization import draw_frame, frame_from_sample
from ddp_perception.visualization.samples import corners_from_above
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


def test_corners_seen_from_above():
    boxes = LiDARInstance3DBoxes(torch.tensor([
        [10., 20, 0, 4, 2, 1, 0, 0, 0], [0, 0, 0, 4, 2, 1, np.pi / 2, 0, 0]]),
        box_dim=9)
    corners = corners_from_above(boxes)
    assert corners.shape == (2, 4, 2)
    np.testing.assert_allclose(corners[0], [[12, 21], [12, 19], [8, 19], [8, 21]])
    # Turned to the left its length lies along y.
    np.testing.assert_allclose(np.ptp(corners[1], axis=0), [2, 4], atol=1e-5)
    # The same rectangle as mmdet3d's own corners of the bottom.
    bottom = boxes.corners[:, [0, 3, 7, 4], :2].numpy()
    for mine, theirs in zip(corners, bottom, strict=True):
        np.testing.assert_allclose(sorted(map(tuple, mine.round(4))),
                                   sorted(map(tuple, theirs.round(4))), atol=1e-3)


def test_picture_shows_confident_boxes_and_true_ones():
    sample = Det3DDataSample(metainfo={'token': 'x'})
    sample.pred_map_seg = PixelData(data=torch.zeros(6, 40, 30))
    sample.gt_map_seg = PixelData(data=torch.zeros(6, 40, 30, dtype=torch.uint8))
    boxes = LiDARInstance3DBoxes(torch.tensor([[1., 2, 0, 4, 2, 1, 0, 0, 0]] * 3),
                                 box_dim=9)
    sample.pred_instances_3d = InstanceData(
        bboxes_3d=boxes, scores_3d=torch.tensor([.9, .1, .5]),
        labels_3d=torch.tensor([0, 1, 2]))
    sample.eval_ann_info = {'gt_bboxes_3d': boxes[:1]}
    frame = frame_from_sample(sample, xbound=(-20, 20, 1), ybound=(-15, 15, 1))
    assert (len(frame.boxes), len(frame.true_boxes)) == (2, 1)
    figure = draw_frame(frame)
    drawn = [collection.get_paths() for axes in figure.axes
             for collection in axes.collections]
    assert sorted(map(len, drawn)) == [1, 2]
    labels = [text.get_text() for axes in figure.axes if axes.get_legend()
              for text in axes.get_legend().get_texts()]
    assert {'predicted box', 'true box'} <= set(labels)
    bare = Det3DDataSample(metainfo={'token': 'x'})
    bare.pred_map_seg = sample.pred_map_seg
    frame = frame_from_sample(bare)
    assert frame.boxes is None and frame.true_boxes is None
