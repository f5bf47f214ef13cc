"""Augmentation of a prior map and its truth, against slow plain loops."""
import math

import numpy as np
import pytest

from ddp_perception.datasets.transforms import (
    DropPriorChannels,
    FlipMapPrior,
    PackMapPrior,
    RotateMapPrior,
)
from ddp_perception.datasets.transforms.map_prior import rotate_map


def sample(shape=(6, 9), seed=0):
    draw = np.random.default_rng(seed)
    return dict(map_prior=draw.integers(0, 2, (3, *shape), np.uint8),
                gt_masks_bev=draw.integers(0, 2, (1, *shape), np.uint8), token='t')


def rotated(maps, angle):
    """Turn every cell by hand: counter-clockwise, x right (axis 1), y up (axis 2)."""
    _, width, height = maps.shape
    result = np.zeros_like(maps)
    turn = math.radians(angle)
    for i in range(width):
        for j in range(height):
            x, y = i + 0.5 - width / 2, j + 0.5 - height / 2
            from_x = math.cos(turn) * x + math.sin(turn) * y
            from_y = -math.sin(turn) * x + math.cos(turn) * y
            source = (math.floor(from_x + width / 2), math.floor(from_y + height / 2))
            if 0 <= source[0] < width and 0 <= source[1] < height:
                result[:, i, j] = maps[:, source[0], source[1]]
    return result


@pytest.mark.parametrize('angle', [17., -33.3, 123.4, 200.])
@pytest.mark.parametrize('shape', [(40, 40), (31, 20)])
def test_any_angle_takes_the_cell_that_each_centre_comes_from(angle, shape):
    maps = sample(shape)['map_prior']
    np.testing.assert_array_equal(rotate_map(maps, angle), rotated(maps, angle))


def test_a_road_to_the_right_lies_ahead_after_a_quarter_turn():
    maps = np.zeros((1, 20, 20), np.uint8)
    maps[0, 15:, 10] = 1  # x > 0 to the right, y just above 0
    turned = RotateMapPrior([90])(dict(map_prior=maps))['map_prior']
    expected = np.zeros((1, 20, 20), np.uint8)
    expected[0, 9, 15:] = 1  # y > 0 ahead, x just below 0
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize('quarters', range(-2, 5))
def test_quarter_turns_lose_no_cell(quarters):
    before = sample((24, 24))
    after = RotateMapPrior([90 * quarters])(dict(before))
    for key in ('map_prior', 'gt_masks_bev'):
        np.testing.assert_array_equal(
            after[key], np.rot90(before[key], quarters, axes=(1, 2)))
        assert after[key].dtype == np.uint8 and after[key].flags.c_contiguous
    assert after['map_rotation'] == 90 * quarters


def test_prior_and_truth_turn_by_the_same_drawn_angle(monkeypatch):
    np.random.seed(0)
    angles = set()
    for step in (RotateMapPrior([0, 90, 180, 270]),
                 RotateMapPrior(angle_range=(-20, 20))):
        for _ in range(8):
            before = sample((24, 24))
            after = step(dict(before))
            angles.add(after['map_rotation'])
            for key in ('map_prior', 'gt_masks_bev'):
                np.testing.assert_array_equal(
                    after[key], rotated(before[key], after['map_rotation']))
    assert len(angles & {0, 90, 180, 270}) >= 3
    assert sum(-20 < angle < 20 and angle != 0 for angle in angles) == 8


def test_flips_exchange_left_and_right_of_both():
    np.random.seed(0)
    before = sample()
    flipped = 0
    for _ in range(40):
        after = FlipMapPrior(0.5)(dict(before))
        flipped += after['map_flip']
        step = -1 if after['map_flip'] else 1
        for key in ('map_prior', 'gt_masks_bev'):
            np.testing.assert_array_equal(after[key], before[key][:, ::step])
    assert 10 < flipped < 30
    assert not FlipMapPrior(0.)(dict(before))['map_flip']


def test_dropped_channels_are_empty_and_the_truth_stays():
    np.random.seed(0)
    before = sample()
    dropped = np.zeros(3)
    for _ in range(200):
        after = DropPriorChannels(0.3)(dict(before))
        np.testing.assert_array_equal(after['gt_masks_bev'], before['gt_masks_bev'])
        empty = ~after['map_prior'].any((1, 2))
        np.testing.assert_array_equal(after['map_prior'][~empty],
                                      before['map_prior'][~empty])
        dropped += empty
    np.testing.assert_allclose(dropped / 200, 0.3, atol=0.1)
    assert before['map_prior'].any((1, 2)).all()  # the caller's is left alone


def test_steps_go_without_a_truth_and_packing_keeps_the_layout():
    before = sample()
    del before['gt_masks_bev']
    for step in (FlipMapPrior(1.), RotateMapPrior([180]), DropPriorChannels(0.)):
        before = step(before)
    packed = PackMapPrior()(before)
    np.testing.assert_array_equal(packed['inputs'].numpy(),
                                  sample()['map_prior'][:, :, ::-1])
    assert 'gt_map_seg' not in packed['data_samples']
    assert packed['data_samples'].metainfo == dict(
        token='t', map_flip=True, map_rotation=180.)


@pytest.mark.parametrize('make, fragment', [
    (lambda: FlipMapPrior(1.5), 'prob must be in .*got 1.5'),
    (lambda: DropPriorChannels(-0.1), 'prob must be in .*got -0.1'),
    (lambda: RotateMapPrior(), 'either angles or angle_range, got None and None'),
    (lambda: RotateMapPrior([90], (0, 1)), 'either angles or angle_range'),
    (lambda: RotateMapPrior([]), r'at least one, got \[\]'),
    (lambda: RotateMapPrior([float('nan')]), r'finite degrees.*nan'),
    (lambda: RotateMapPrior(angle_range=(5, -5)), r'\(low, high\), got \[5.0, -5.0\]'),
])
def test_options_are_checked_when_a_step_is_built(make, fragment):
    with pytest.raises(ValueError, match=fragment):
        make()
