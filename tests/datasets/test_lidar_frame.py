"""The augmentation that a sample went through, read back from the sample."""
from itertools import permutations

import numpy as np
import pytest
import torch
from mmdet3d.datasets.transforms import (
    GlobalRotScaleTrans,
    MultiScaleFlipAug3D,
    RandomFlip3D,
)
from mmdet3d.structures import LiDARInstance3DBoxes
from mmdet3d.structures.points import LiDARPoints

from ddp_perception.datasets import transforms as ours
from ddp_perception.datasets.lidar_frame import lidar_augmentation
from tests.datasets.bevfusion_steps import (
    BEVFusionGlobalRotScaleTrans,
    BEVFusionRandomFlip3D,
)

FLIPS = [(0, 0), (1, 0), (0, 1), (1, 1)]


def flip(horizontal, vertical):
    return RandomFlip3D(sync_2d=False, flip_ratio_bev_horizontal=float(horizontal),
                        flip_ratio_bev_vertical=float(vertical))


def turn(kind=GlobalRotScaleTrans, angle=np.pi / 4, scale=1.1, shift=2.):
    return kind((angle, angle), (scale, scale), [shift] * 3)


ACCEPTED = {
    'mmdet3d: turn, flip': lambda f: [turn(), flip(*f)],
    'mmdet3d: flip, turn': lambda f: [flip(*f), turn()],
    'mmdet3d: turn': lambda f: [turn()],
    'mmdet3d: flip': lambda f: [flip(*f)],
    'mmdet3d: flip, turn, flip back': lambda f: [flip(*f), turn(), flip(*f)],
    'BEVFusion: turn, flip': lambda f: [turn(BEVFusionGlobalRotScaleTrans),
                                        BEVFusionRandomFlip3D(*f)],
    'BEVFusion: flip, turn': lambda f: [BEVFusionRandomFlip3D(*f),
                                        turn(BEVFusionGlobalRotScaleTrans)],
    'BEVFusion: turn': lambda f: [turn(BEVFusionGlobalRotScaleTrans)],
    'BEVFusion: flip': lambda f: [BEVFusionRandomFlip3D(*f)],
    'BEVFusion turn, mmdet3d flip': lambda f: [turn(BEVFusionGlobalRotScaleTrans),
                                               flip(*f)],
    'mmdet3d flip, BEVFusion turn': lambda f: [flip(*f),
                                               turn(BEVFusionGlobalRotScaleTrans)],
    'mmdet3d turn, BEVFusion flip': lambda f: [turn(), BEVFusionRandomFlip3D(*f)],
    'mmdet3d turn, BEVFusion flips': lambda f: [turn(), BEVFusionRandomFlip3D(1, 0),
                                                BEVFusionRandomFlip3D(*f)],
    'mmdet3d turn, our flip': lambda f: [turn(), ours.RandomFlip3D(*f)],
    'ours: turn, flip': lambda f: [turn(ours.GlobalRotScaleTrans),
                                   ours.RandomFlip3D(*f)],
    'ours: flip, turn, turn': lambda f: [ours.RandomFlip3D(*f),
                                         turn(ours.GlobalRotScaleTrans),
                                         turn(ours.GlobalRotScaleTrans)],
    'none': lambda f: []}


def sample(boxes=True):
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(50, 5, generator=draw) * 20
    results = {'points': LiDARPoints(points, points_dim=5)}
    if boxes is not None:
        tensor = torch.cat([points[:6, :3], torch.tensor(
            [[4., 2, 1.5, .3, 1, 2]]).expand(6, -1)], 1)
        results['gt_bboxes_3d'] = LiDARInstance3DBoxes(
            tensor[:6 if boxes else 0], box_dim=9)
    return results


@pytest.mark.parametrize('scale', [.9, 1.1])
@pytest.mark.parametrize('boxes', [True, False, None])
@pytest.mark.parametrize('flips', FLIPS)
@pytest.mark.parametrize('name', ACCEPTED)
def test_matrix_carries_the_points_where_they_are(name, flips, boxes, scale):
    np.random.seed(1)
    results = sample(boxes)
    before = results['points'].tensor[:, :3].double().clone()
    for step in ACCEPTED[name](flips):
        if getattr(step, 'scale_ratio_range', None):
            step.scale_ratio_range = (scale, scale)
        results = step(results)
    matrix = torch.from_numpy(lidar_augmentation(results))
    expected = before @ matrix[:3, :3].T + matrix[:3, 3]
    torch.testing.assert_close(results['points'].tensor[:, :3].double(), expected,
                               rtol=0, atol=1e-4)
    if boxes:  # they stood on the first points
        torch.testing.assert_close(
            results['gt_bboxes_3d'].tensor[:, :3].double(), expected[:6],
            rtol=0, atol=1e-4)


REFUSED = {
    'two turns': ([turn(), turn()], 'R, S, T happened more than once'),
    'two BEVFusion turns': ([turn(BEVFusionGlobalRotScaleTrans)] * 2, 'more than once'),
    'BEVFusion flip, mmdet3d turn': ([BEVFusionRandomFlip3D(0, 0), turn()],
                                     'lidar_aug_matrix and transformation_3d_flow'),
    'mmdet3d turn between BEVFusion flips': (
        [BEVFusionRandomFlip3D(1, 0), turn(), BEVFusionRandomFlip3D(1, 0)],
        'order is lost'),
    'mmdet3d flip that did nothing, BEVFusion flip, mmdet3d turn': (
        [flip(0, 0), BEVFusionRandomFlip3D(1, 0), turn()], 'order is lost'),
    'mmdet3d turn, BEVFusion flip, mmdet3d flip': (
        [turn(), BEVFusionRandomFlip3D(1, 0), flip(0, 1)], 'order is lost'),
    'mmdet3d turn, our turn': ([turn(), turn(ours.GlobalRotScaleTrans)],
                               'order is lost'),
    'BEVFusion flip, mmdet3d flip': ([BEVFusionRandomFlip3D(1, 0), flip(0, 1)],
                                     'order is lost'),
    'BEVFusion turn, both flips': ([turn(BEVFusionGlobalRotScaleTrans),
                                    BEVFusionRandomFlip3D(1, 0), flip(0, 1)],
                                   'steps of two kinds flipped'),
    'our turn, mmdet3d flip that did nothing': (
        [turn(ours.GlobalRotScaleTrans), flip(0, 0)], 'order is lost'),
    'BEVFusion turn, our turn': ([turn(BEVFusionGlobalRotScaleTrans),
                                  turn(ours.GlobalRotScaleTrans, .1)],
                                 'not what pcd_rotation')}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_known_is_refused(name):
    steps, message = REFUSED[name]
    results = sample()
    for step in steps:
        results = step(results)
    with pytest.raises(ValueError, match=message) as error:
        lidar_augmentation(results)
    assert 'Augment with GlobalRotScaleTrans and RandomFlip3D' in str(error.value)


@pytest.mark.parametrize('key', ['pcd_rotation', 'pcd_scale_factor', 'pcd_trans'])
def test_lost_values_and_orders_are_named(key):
    results = turn()(sample())
    with pytest.raises(ValueError, match='neither transformation_3d_flow.*') as error:
        lidar_augmentation({key: results[key]})
    assert key in str(error.value)
    del results[key]
    with pytest.raises(ValueError, match=f'no {key}'):
        lidar_augmentation(results)
    with pytest.raises(ValueError, match="step 'X' is unknown"):
        lidar_augmentation({'transformation_3d_flow': ['X']})
    with pytest.raises(ValueError, match=r'must be \(4, 4\)'):
        lidar_augmentation({'lidar_aug_matrix': np.eye(3)})
    with pytest.raises(ValueError, match='pcd_vertical_flip'):
        lidar_augmentation({'pcd_vertical_flip': True})


@pytest.mark.parametrize('order', permutations('RST'))
def test_any_order_of_single_steps_is_followed(order):
    values = turn()(sample())
    values['transformation_3d_flow'] = list(order)
    point = np.array([3., -2, 1])
    expected = point
    for name in order:
        expected = {'R': lambda p: p @ values['pcd_rotation'].double().numpy(),
                    'S': lambda p: p * values['pcd_scale_factor'],
                    'T': lambda p: p + values['pcd_trans']}[name](expected)
    found = lidar_augmentation(values) @ [*point, 1]
    np.testing.assert_allclose(found[:3], expected, atol=1e-12)


def test_frames_of_the_stock_test_pipeline_are_not_augmented():
    stock = MultiScaleFlipAug3D(
        img_scale=(1333, 800), pts_scale_ratio=1, flip=False, transforms=[
            dict(type='mmdet3d.GlobalRotScaleTrans', rot_range=[0, 0],
                 scale_ratio_range=[1., 1.], translation_std=[0, 0, 0]),
            dict(type='mmdet3d.RandomFlip3D')])
    results = stock(sample(None))
    assert len(results) == 1
    np.testing.assert_allclose(lidar_augmentation(results[0]), np.eye(4), atol=1e-7)
    bare = MultiScaleFlipAug3D(img_scale=(1333, 800), pts_scale_ratio=1, flip=False,
                               transforms=[dict(type='mmdet3d.PointShuffle')])
    assert np.array_equal(lidar_augmentation(bare(sample(None))[0]), np.eye(4))
