import json

import numpy as np
import pytest
import torch
from mmdet3d.structures import Box3DMode, Det3DDataSample, LiDARInstance3DBoxes
from mmengine.structures import InstanceData, PixelData
from torch import nn

from ddp_perception.cli.predicted_files import write_predictions
from ddp_perception.fields import MapField, Setting

NUMBERS = [[1., 2, -1, 4, 2, 1.5, 0.25, 3, -4], [5., 6, 0, 8, 3, 3, -1, 0, 0]]


@pytest.fixture
def sample():
    sample = Det3DDataSample(metainfo={
        'token': 'frame/7', 'box_mode_3d': Box3DMode.LIDAR})
    sample.pred_map_seg = PixelData(data=torch.zeros(6, 20, 30))
    sample.pred_instances_3d = InstanceData(
        bboxes_3d=LiDARInstance3DBoxes(torch.tensor(NUMBERS), box_dim=9),
        scores_3d=torch.tensor([0.75, 0.01]), labels_3d=torch.tensor([1, 7]))
    return sample


def test_boxes_are_saved_beside_the_map(sample, tmp_path):
    path = MapField().save(sample, tmp_path / 'x', Setting(
        metainfo=dict(classes=('car', 'truck'))))
    assert path == tmp_path / 'x.npz'
    content = json.loads((tmp_path / 'x_boxes.json').read_text())
    assert content['token'] == 'frame/7' and content['names'] == ['truck', '7']
    assert content['labels_3d'] == [1, 7]
    np.testing.assert_allclose(content['scores_3d'], [0.75, 0.01])
    np.testing.assert_allclose(content['bboxes_3d'], NUMBERS)
    assert content['columns'] == ['x', 'y', 'z', 'length', 'width', 'height', 'yaw',
                                  'velocity_x', 'velocity_y']
    # As the columns say: z is the bottom, yaw turns x to y, length lies along it.
    box = dict(zip(content['columns'], content['bboxes_3d'][0], strict=True))
    corners = sample.pred_instances_3d.bboxes_3d.corners[0]
    assert corners[:, 2].min() == pytest.approx(box['z'])
    assert np.ptp(corners[:, 2]) == pytest.approx(box['height'])
    ahead = np.array([np.cos(box['yaw']), np.sin(box['yaw'])])
    assert np.ptp(corners[:, :2] @ ahead) == pytest.approx(box['length'], abs=1e-5)


def test_boxes_are_those_that_mmdet3d_writes(sample, tmp_path):
    from mmdet3d.apis.inferencers import LidarDet3DInferencer
    theirs = LidarDet3DInferencer.pred2dict(None, sample)
    MapField().save(sample, tmp_path / 'x', Setting())
    ours = json.loads((tmp_path / 'x_boxes.json').read_text())
    assert {key: ours[key] for key in theirs} == theirs and 'bboxes_3d' in theirs


def test_boxes_without_velocity_have_fewer_columns(sample, tmp_path):
    sample.pred_instances_3d.bboxes_3d = LiDARInstance3DBoxes(
        torch.tensor(NUMBERS)[:, :7])
    MapField().save(sample, tmp_path / 'x', Setting())
    content = json.loads((tmp_path / 'x_boxes.json').read_text())
    assert content['columns'][-1] == 'yaw' and len(content['bboxes_3d'][1]) == 7


def test_maps_without_a_detector_have_no_file_of_boxes(sample, tmp_path):
    del sample.pred_instances_3d
    MapField().save(sample, tmp_path / 'x', Setting())
    assert [path.name for path in tmp_path.iterdir()] == ['x.npz']


def test_boxes_that_are_no_numbers_are_refused(sample, tmp_path):
    sample.pred_instances_3d.scores_3d[1] = float('nan')
    with pytest.raises(ValueError, match='predicted boxes cannot be written'):
        MapField().save(sample, tmp_path / 'x', Setting())


@pytest.mark.parametrize('truth', [True, False])
def test_true_boxes_are_drawn_where_truth_is_wanted(sample, tmp_path, monkeypatch,
                                                    truth):
    from ddp_perception import visualization
    sample.eval_ann_info = dict(gt_bboxes_3d=LiDARInstance3DBoxes(
        torch.tensor(NUMBERS), box_dim=9), gt_labels_3d=np.array([0, 1]))
    drawn = []
    monkeypatch.setattr(visualization, 'save_frame',
                        lambda frame, path, *rest: drawn.append(frame) or path)
    write_predictions(nn.Identity(), sample, tmp_path / 'x', {}, 'x', truth=truth)
    frame, = drawn
    assert frame.truth is None  # there is no true map
    assert (frame.true_boxes is not None) == truth
    assert len(frame.boxes) == 1
