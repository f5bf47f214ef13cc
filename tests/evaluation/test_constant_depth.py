"""The best constant depth map."""
import numpy as np
import pytest
import torch

from ddp_perception.cli.main import main
from ddp_perception.datasets import KITTIDepthDataset
from ddp_perception.datasets.transforms import KBCrop, LoadKITTIDepth
from ddp_perception.evaluation import (
    evaluate_constant_depth,
    iter_depths,
    pixel_median_depth,
)
from tests.datasets.tiny_kitti import ramp, write_tiny_kitti


def test_median_of_each_pixel_by_hand():
    frames = np.array([[[4, 0, 0], [1, 0, 0]],
                       [[2, 6, 0], [0, 0, 0]],
                       [[9, 8, 0], [3, 0, 0]]], np.float32)
    median = pixel_median_depth(frames)
    assert median.dtype == torch.float32
    # Never measured: the row's median, of 2 4 6 8 9 and of 1 3.
    assert median.tolist() == [[4, 7, 6], [2, 2, 2]]
    # A row without measurement: the median of all, 1 2 3 4 6 8 9.
    frames = np.concatenate([frames, np.zeros((3, 1, 3), np.float32)], 1)
    assert pixel_median_depth(frames)[2].tolist() == [4, 4, 4]


@pytest.mark.parametrize('count', [1, 4, 7])
def test_median_agrees_with_numpy_and_any_block_size(count):
    rng = np.random.default_rng(count)
    frames = rng.uniform(1, 80, (count, 11, 5)).astype(np.float32)
    frames[rng.random(frames.shape) < .3] = 0
    frames[0, :, 0] = 5  # some column is always measured
    known = (frames > 0).any(0)
    expected = np.full(known.shape, np.nan, np.float32)
    for row, column in zip(*np.nonzero(known)):
        values = frames[:, row, column]
        expected[row, column] = np.median(values[values > 0])
    for rows in (1, 3, 32):
        median = pixel_median_depth(iter(frames), rows).numpy()
        np.testing.assert_allclose(median[known], expected[known], rtol=1e-6)


@pytest.mark.parametrize('share', [.02, .5])
def test_pixels_never_measured_take_the_nearest_median(share):
    rng = np.random.default_rng(0)
    frames = rng.uniform(1, 80, (3, 40, 30)).astype(np.float32)
    known = rng.random(frames.shape[1:]) < share
    frames[:, ~known] = 0
    filled = pixel_median_depth(frames, fallback='nearest').numpy()
    rows, columns = np.nonzero(known)
    np.testing.assert_allclose(filled[known], np.median(frames[:, known], 0), rtol=1e-6)
    for row, column in zip(*np.nonzero(~known)):
        distance = np.hypot(rows - row, columns - column)
        near = distance <= 1.03 * distance.min()
        assert filled[row, column] in filled[rows[near], columns[near]]


def test_another_fallback_is_an_error():
    with pytest.raises(ValueError, match="got 'column'"):
        pixel_median_depth(np.ones((1, 2, 3)), fallback='column')


def test_figures_of_a_constant_map():
    truths = [np.full((44, 60), 10, np.float32),
              np.full((44, 60), 5, np.float32)]
    figures = evaluate_constant_depth(torch.full((44, 60), 6.), truths)
    assert figures['abs_rel'] == pytest.approx((.4 + .2) / 2)
    assert figures['rmse'] == pytest.approx((4 + 1) / 2)


def test_depths_of_a_data_set_are_read_without_its_images(tmp_path):
    root = write_tiny_kitti(tmp_path)
    assert main(['prepare', 'kitti', str(root), '--write-splits']) == 0
    data = KITTIDepthDataset('kitti_train.txt', root)
    for path in (root / 'input').rglob('*.png'):
        path.write_bytes(b'')  # still there, never decoded
    steps = [LoadKITTIDepth(), KBCrop(40, 56)]
    depths = list(iter_depths(data, steps))
    assert len(depths) == len(data) == 4
    expected = np.floor(ramp(44, 60)[1] * 256) / 256
    for depth in depths:
        np.testing.assert_array_equal(depth, expected[4:, 2:58])
    median = pixel_median_depth(depths)
    assert evaluate_constant_depth(median, depths)['abs_rel'] == 0


def test_no_frames_or_measurements_are_errors():
    with pytest.raises(ValueError, match='at least one frame'):
        pixel_median_depth([])
    with pytest.raises(ValueError, match='none of the 2 depth maps'):
        pixel_median_depth(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match='one size'):
        pixel_median_depth([np.ones((3, 4)), np.ones((4, 3))])
    with pytest.raises(ValueError, match='no frame'):
        evaluate_constant_depth(torch.ones(3, 4), [])
