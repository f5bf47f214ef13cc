"""Depth maps as the KITTI benchmark wants them."""
import cv2
import numpy as np
import pytest
import torch

from ddp_perception.evaluation.depth import KITTIDepthMetric
from ddp_perception.evaluation.depth_export import (
    DepthExport,
    benchmark_name,
    to_benchmark,
)

RAW = '/k/input/2011_09_26/2011_09_26_drive_{}_sync/image_02/data/{}.png'


@pytest.mark.parametrize('path, name', [
    (RAW.format('0002', '0000000005'),
     '2011_09_26_drive_0002_sync_image_0000000005_image_02.png'),
    (RAW.format('0002', '0000000005').replace('image_02', 'image_03'),
     '2011_09_26_drive_0002_sync_image_0000000005_image_03.png'),
    ('test_depth_prediction_anonymous/image/0000000499.png',
     '0000000499.png'),
    ('C:\\street.v2.jpg', 'street.v2.png')])
def test_names_keep_drive_and_frame(path, name):
    assert benchmark_name(path) == name


def test_values_are_metres_times_256_rounded():
    depth = np.array([[1., .5, 80., 200.], [0., -3., 10.003, 1 / 512 * 1.1]])
    stored = to_benchmark(depth, max_depth=88)
    assert stored.dtype == np.uint16
    # 0 would mean "no prediction": the least is 1.
    assert stored.tolist() == [[256, 128, 80 * 256, 88 * 256],
                               [1, 1, 2561, 1]]
    with pytest.raises(ValueError, match='1 of 2 depths are NaN'):
        to_benchmark(np.array([[1., np.nan]]))
    with pytest.raises(ValueError, match='300'):
        to_benchmark(depth, max_depth=300)


def sample(path, depth):
    return {'pred_depth_map': {'data': torch.full((1, 6, 9), depth)},
            'gt_depth_map': {'data': torch.full((1, 6, 9), 8.)},
            'img_path': path}


def test_frames_of_different_drives_do_not_overwrite_each_other(tmp_path):
    paths = [RAW.format(drive, frame) for drive in ('0001', '0002')
             for frame in ('0000000005', '0000000006')]
    metric = KITTIDepthMetric(output_dir=str(tmp_path), format_only=True,
                              max_depth=88)
    for number, path in enumerate(paths):
        item = sample(path, 3. + number)
        del item['gt_depth_map']
        metric.process(None, [item])
    assert metric.evaluate(4) == {}
    assert len(list(tmp_path.iterdir())) == 4
    for number, path in enumerate(paths):
        stored = cv2.imread(str(tmp_path / benchmark_name(path)),
                            cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16 and stored.shape == (6, 9)
        assert (stored == (3 + number) * 256).all()


def test_writing_and_evaluating_go_together(tmp_path):
    metric = KITTIDepthMetric(output_dir=str(tmp_path / 'new'), crop=None)
    metric.process(None, [sample('a/1.png', 8.), sample('a/2.png', 10.)])
    assert metric.evaluate(2)['abs_rel'] == pytest.approx(.125)
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == [
        '1.png', '2.png']


def test_equal_names_are_refused(tmp_path):
    export = DepthExport(tmp_path)
    export(torch.ones(4, 5), 'a/1.png')
    export(torch.ones(4, 5), 'a/1.png')  # padding repeats a frame
    with pytest.raises(ValueError, match='a/1.png and b/1.png'):
        export(torch.ones(4, 5), 'b/1.png')
    # Also where each process has seen but one of them.
    metric = KITTIDepthMetric(output_dir=str(tmp_path), format_only=True)
    with pytest.raises(ValueError, match='a/1.png and b/1.png'):
        metric.compute_metrics([('a/1.png', None), ('b/1.png', None)])
