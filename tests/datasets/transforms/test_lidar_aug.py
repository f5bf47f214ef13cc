"""Augmenting the LiDAR frame."""
import numpy as np
import pytest
import torch
from mmdet3d.structures import LiDARInstance3DBoxes
from mmdet3d.structures.points import LiDARPoints

from ddp_perception.datasets.transforms import GlobalRotScaleTrans, RandomFlip3D


def sample():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(9, 5, generator=generator) * 10
    boxes = torch.tensor([[5., 3, 1, 4, 2, 1.5, .3, 1, 2],
                          [-7., 8, 0, 5, 2, 1.7, -2., 0, -3]])
    return {'points': LiDARPoints(points.clone(), points_dim=5),
            'gt_bboxes_3d': LiDARInstance3DBoxes(boxes, box_dim=9)}


def apply(matrix, points):
    return points @ torch.as_tensor(matrix[:3, :3], dtype=points.dtype).T + (
        torch.as_tensor(matrix[:3, 3], dtype=points.dtype))


def test_points_are_rotated_then_translated_then_scaled():
    np.random.seed(0)
    before = sample()['points'].tensor
    results = GlobalRotScaleTrans((.7, .7), (1.1, 1.1), (.5, .5, 0.))(sample())
    matrix = results['lidar_aug_matrix']
    turn = matrix[:3, :3] / 1.1
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.arctan2(turn[1, 0], turn[0, 0]) == pytest.approx(.7)
    assert matrix[0, 3] != 0 and matrix[2, 3] == 0
    after = results['points'].tensor
    torch.testing.assert_close(after[:, :3], apply(matrix, before[:, :3]))
    torch.testing.assert_close(after[:, 3:], before[:, 3:])


def test_boxes_move_with_the_points():
    # The corners of the moved boxes are the moved corners.
    np.random.seed(1)
    before = sample()['gt_bboxes_3d']
    results = sample()
    for step in (GlobalRotScaleTrans((-.9, -.4), (.9, .95), .5),
                 RandomFlip3D(1., 0.), RandomFlip3D(0., 1.)):
        results = step(results)
    after = results['gt_bboxes_3d']
    expected = apply(results['lidar_aug_matrix'],
                     before.corners.reshape(-1, 3)).reshape(2, 8, 3)
    found, wanted = (
        [sorted(box.round(decimals=3).tolist()) for box in corners]
        for corners in (after.corners, expected))
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    linear = torch.as_tensor(results['lidar_aug_matrix'][:2, :2]).float()
    torch.testing.assert_close(after.tensor[:, 7:],
                               before.tensor[:, 7:] @ linear.T)


@pytest.mark.parametrize('ratios, signs', [((1., 0.), (1, -1)),
                                           ((0., 1.), (-1, 1)),
                                           ((1., 1.), (-1, -1)),
                                           ((0., 0.), (1, 1))])
def test_horizontal_negates_y_and_vertical_x(ratios, signs):
    before = sample()['points'].tensor
    results = RandomFlip3D(*ratios)(sample())
    expected = before * torch.tensor([*signs, 1., 1., 1.])
    torch.testing.assert_close(results['points'].tensor, expected)
    np.testing.assert_array_equal(results['lidar_aug_matrix'],
                                  np.diag([*signs, 1, 1]))
    assert results['pcd_horizontal_flip'] == (ratios[0] == 1)
    assert results['pcd_vertical_flip'] == (ratios[1] == 1)


def test_matrix_is_the_product_of_all_steps():
    np.random.seed(2)
    before = sample()['points'].tensor
    results = sample()
    steps = [GlobalRotScaleTrans(), RandomFlip3D(1., 1.),
             GlobalRotScaleTrans(), RandomFlip3D(1., 0.)]
    for step in steps:
        results = step(results)
    torch.testing.assert_close(
        results['points'].tensor[:, :3],
        apply(results['lidar_aug_matrix'], before[:, :3]),
        rtol=1e-4, atol=1e-4)
    assert np.linalg.det(results['lidar_aug_matrix'][:3, :3]) < 0


def test_seed_decides_and_ranges_hold():
    def draw(seed):
        np.random.seed(seed)
        return GlobalRotScaleTrans((-.5, .5), (.9, 1.1), 0.)(
            {})['lidar_aug_matrix']

    np.testing.assert_array_equal(draw(4), draw(4))
    matrices = np.stack([draw(seed) for seed in range(60)])
    scales = np.cbrt(np.linalg.det(matrices[:, :3, :3]))
    angles = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])
    assert .9 <= scales.min() < .92 and 1.08 < scales.max() <= 1.1
    assert -.5 <= angles.min() < -.4 and .4 < angles.max() <= .5
    assert not matrices[:, :3, 3].any()


def test_flips_are_drawn_apart():
    np.random.seed(0)
    step = RandomFlip3D()
    drawn = [step({}) for _ in range(60)]
    pairs = {(one['pcd_horizontal_flip'], one['pcd_vertical_flip'])
             for one in drawn}
    assert len(pairs) == 4


def test_bad_ranges_are_rejected():
    with pytest.raises(ValueError, match='rot_range'):
        GlobalRotScaleTrans(rot_range=(1., -1.))
    with pytest.raises(ValueError, match='positive'):
        GlobalRotScaleTrans(scale_ratio_range=(0., 1.))
    with pytest.raises(ValueError, match='translation_std'):
        GlobalRotScaleTrans(translation_std=(-1., 0., 0.))
    with pytest.raises(ValueError, match=r'\[0, 1\]'):
        RandomFlip3D(1.5)
