"""Models are the same whatever default scope another one left behind."""
import copy

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope, init_default_scope

from ddp_perception.registry import MODELS
from tests.bevfusion import tiny

SCOPES = [None, 'mmengine', 'mmdet3d', 'mmseg', 'mmdet', 'no_such_project']


@pytest.fixture
def default_scope(monkeypatch, request):
    """Leave a default scope as another model in the process would."""
    before = copy.copy(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    if request.param is not None:
        init_default_scope(request.param)
    yield request.param
    now = DefaultScope.get_current_instance()
    assert (now and now.scope_name) == request.param
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def _detector_with_boxes():
    config = tiny.lidar_config()
    config['data_preprocessor']['type'] = 'Det3DDataPreprocessor'
    config['bbox_axes'] = 'yx'
    config['bbox_head'] = dict(
        type='CenterHead', in_channels=16, share_conv_channel=8,
        tasks=[dict(num_class=1, class_names=['car'])],
        common_heads=dict(reg=(2, 2), height=(1, 2), dim=(3, 2), rot=(2, 2)),
        separate_head=dict(type='SeparateHead', init_bias=-2.19, head_conv=8),
        bbox_coder=dict(type='CenterPointBBoxCoder', pc_range=tiny.RANGE[:2],
                        voxel_size=[1.6, 1.6], out_size_factor=1, code_size=7),
        loss_cls=dict(type='mmdet.GaussianFocalLoss', reduction='mean'),
        loss_bbox=dict(type='mmdet.L1Loss', reduction='mean'))
    return config


def _with_map_head():
    norm = dict(type='BN', eps=1e-3, momentum=0.01)
    voxels = dict(max_num_points=8,
                  point_cloud_range=[-12.8, -12.8, -5., 12.8, 12.8, 3.],
                  voxel_size=[1.6, 1.6, 8.], max_voxels=(400, 400))
    return dict(
        type='ddp.WithMapHead',
        detector=dict(
            type='MVXTwoStageDetector',
            data_preprocessor=dict(type='Det3DDataPreprocessor', voxel=True,
                                   voxel_layer=voxels),
            pts_voxel_encoder=dict(type='PillarFeatureNet', in_channels=4,
                                   feat_channels=[8], voxel_size=voxels['voxel_size'],
                                   point_cloud_range=voxels['point_cloud_range']),
            pts_middle_encoder=dict(type='PointPillarsScatter', in_channels=8,
                                    output_shape=[16, 16]),
            pts_backbone=dict(type='SECOND', in_channels=8, out_channels=[8],
                              layer_nums=[1], layer_strides=[1], norm_cfg=norm),
            pts_neck=dict(type='SECONDFPN', in_channels=[8], out_channels=[8],
                          upsample_strides=[1], norm_cfg=norm)),
        seg_head=dict(type='ddp.MapSegHead',
                      decoder=dict(channels=16, num_layers=1, num_heads=2),
                      output_grid=((-12., 12., 1.), (-12., 12., 1.))))


CONFIGS = {
    'BEVFusion': _detector_with_boxes(),
    'WithMapHead': _with_map_head(),
    'SegHead': dict(type='ddp.SegHead', in_channels=8, num_classes=3,
                    decoder=dict(channels=8, num_layers=1, num_heads=2), loss_decode=[
                        dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]),
    'DepthHead': dict(type='ddp.DepthHead', in_channels=8, min_depth=1., max_depth=80.,
                      decoder=dict(channels=8, num_layers=1, num_heads=2),
                      loss_decode=dict(type='SiLogLoss')),
}


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('default_scope', SCOPES, indirect=True)
def test_default_scope_changes_no_model(default_scope, name):
    torch.manual_seed(0)
    model = ROOT.build(copy.deepcopy(CONFIGS[name]))
    parts = {part: type(module) for part, module in model.named_modules()}
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(
            'mmdet3d' if name in ('BEVFusion', 'WithMapHead') else 'mmseg'):
        expected = ROOT.build(copy.deepcopy(CONFIGS[name]))
    assert parts == {part: type(module) for part, module in expected.named_modules()}
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize('default_scope', ['mmseg'], indirect=True)
def test_default_scope_stays_after_a_part_that_cannot_be_built(default_scope):
    config = tiny.lidar_config()
    config['pts_backbone']['layer_nums'] = None
    with pytest.raises(TypeError):
        MODELS.build(config)


class OwnNeck(torch.nn.Identity):
    """A part that only the default scope's project knows."""


@pytest.mark.parametrize('default_scope', ['mmseg'], indirect=True)
def test_parts_of_the_default_scope_alone_are_found(default_scope):
    from mmseg.registry import MODELS as MMSEG
    if 'OwnNeck' not in MMSEG.module_dict:
        MMSEG.register_module(module=OwnNeck)
    config = tiny.lidar_config()
    config['pts_neck'] = dict(type='OwnNeck')
    assert isinstance(MODELS.build(config).pts_neck, OwnNeck)
