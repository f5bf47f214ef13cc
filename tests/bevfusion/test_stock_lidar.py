"""mmdet3d's LiDAR configuration of BEVFusion, with `type` and `seg_head` changed.

Its project is no part of the installed package: the pipeline and the parts are those
of its file, the flip is that of `bevfusion_steps`, the middle encoder is ours, and the
box head, which only the project has, is left out.
"""
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from ddp_perception import compat
from ddp_perception.registry import MODELS
from tests.datasets.bevfusion_steps import BEVFusionRandomFlip3D
from tests.datasets.test_lidar_frame import FLIPS
from tests.datasets.transforms.test_map_of_mmdet3d_pipelines import (
    count_same_ground,
    open_dataset,
)

CLASSES = ['car', 'truck', 'construction_vehicle', 'bus', 'trailer', 'barrier',
           'motorcycle', 'bicycle', 'pedestrian', 'traffic_cone']
RANGE = [-54.0, -54.0, -5.0, 54.0, 54.0, 3.0]
LOADING = [
    dict(type='LoadPointsFromFile', coord_type='LIDAR', load_dim=5, use_dim=5),
    dict(type='LoadPointsFromMultiSweeps', sweeps_num=9, load_dim=5, use_dim=5,
         pad_empty_sweeps=True, remove_close=True),
    dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True,
         with_attr_label=False)]
TURN = dict(type='GlobalRotScaleTrans', scale_ratio_range=[0.9, 1.1],
            rot_range=[-0.78539816, 0.78539816], translation_std=0.5)
FILTERS = [dict(type='PointsRangeFilter', point_cloud_range=RANGE),
           dict(type='ObjectRangeFilter', point_cloud_range=RANGE),
           dict(type='ObjectNameFilter', classes=CLASSES), dict(type='PointShuffle')]
MAP = [dict(type='ddp.LoadMapMasks'), dict(type='ddp.PackMapInputs')]
NORM = dict(type='BN', eps=0.001, momentum=0.01)  # the file's SyncBN, on a CPU
MODEL = dict(
    type='ddp.BEVFusion', seg_head=dict(type='ddp.MapSegHead', decoder=dict(
        channels=16, num_layers=1, num_heads=2, feedforward_channels=16),
        decoder_grid=((-50., 50., 2.), (-50., 50., 2.))),
    data_preprocessor=dict(
        type='Det3DDataPreprocessor', pad_size_divisor=32, voxelize_cfg=dict(
            max_num_points=10, point_cloud_range=RANGE, voxel_size=[0.075, 0.075, 0.2],
            max_voxels=[120000, 160000], voxelize_reduce=True)),
    pts_voxel_encoder=dict(type='HardSimpleVFE', num_features=5),
    pts_middle_encoder=dict(
        type='ddp.BEVFusionSparseEncoder', in_channels=5, sparse_shape=[1440, 1440, 41],
        order=('conv', 'norm', 'act'), norm_cfg={**NORM, 'type': 'BN1d'},
        encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 128)),
        encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, (1, 1, 0)), (0, 0)),
        block_type='basicblock'),
    pts_backbone=dict(
        type='SECOND', in_channels=256, out_channels=[128, 256], layer_nums=[1, 1],
        layer_strides=[1, 2], norm_cfg=NORM, conv_cfg=dict(type='Conv2d', bias=False)),
    pts_neck=dict(
        type='SECONDFPN', in_channels=[128, 256], out_channels=[256, 256],
        upsample_strides=[1, 2], norm_cfg=NORM,
        upsample_cfg=dict(type='deconv', bias=False), use_conv_for_no_stride=True))


def number_points(results):
    """Let each point carry its number in place of its intensity."""
    results['points'].tensor[:, 3] = torch.arange(len(results['points']))
    return results


@pytest.fixture(scope='module')
def dataset(synthetic_root, synthetic_infos):
    return open_dataset(synthetic_root, synthetic_infos, CLASSES)


@pytest.fixture
def sample(dataset, synthetic_root):
    """Return a function that runs the pipeline with some augmentation."""
    def run(index, augmentation):
        init_default_scope('mmdet3d')
        return Compose([*LOADING, number_points, *augmentation, *FILTERS, *MAP])({
            **dataset.get_data_info(index), 'map_root': str(synthetic_root)})
    return run


def ground(sample):
    return sample['data_samples'].gt_map_seg.data.numpy()


def test_map_of_a_training_sample_lies_below_its_points(sample):
    np.random.seed(0)
    counted = 0
    for index, flips in enumerate(FLIPS):
        plain = sample(index % 2, [])
        augmented = sample(index % 2, [TURN, BEVFusionRandomFlip3D(*flips)])
        places = [dict(zip(points[:, 3].tolist(), points[:, :2].numpy()))
                  for points in (plain['inputs']['points'],
                                 augmented['inputs']['points'])]
        numbers = sorted(places[0].keys() & places[1].keys())[::20]
        source, target = (np.array([one[number] for number in numbers])
                          for one in places)
        assert np.abs(source - target).max() > 1
        counted += count_same_ground(ground(plain), ground(augmented), source, target)
        # The boxes too are among those of before, carried by the sample's matrix.
        before, after = (one['data_samples'].gt_instances_3d.bboxes_3d.gravity_center
                         .double().numpy() for one in (plain, augmented))
        matrix = augmented['data_samples'].lidar_aug_matrix.astype(float)
        back = (after - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
        near = np.linalg.norm(back, axis=1) < 50  # in range either way
        distances = np.linalg.norm(back[near, None] - before, axis=2).min(1)
        assert near.any() and distances.max() < 1e-3
    assert counted > 300


def test_the_model_trains_on_it(sample):
    pytest.importorskip('spconv', reason='spconv is not installed')
    compat.patch_spconv_cpu()
    np.random.seed(0)
    torch.manual_seed(0)
    model = MODELS.build(MODEL).train()
    assert model.seg_head.input_grid.xbound == pytest.approx((-54., 54., .6))
    batch = pseudo_collate([sample(0, [TURN, BEVFusionRandomFlip3D(1, 0)])])
    inputs = model.data_preprocessor(batch, training=True)
    total, _ = model.parse_losses(model(**inputs, mode='loss'))
    total.backward()
    assert total.isfinite() and total > 0
    assert all(parameter.grad is not None and parameter.grad.isfinite().all()
               for parameter in model.parameters())
