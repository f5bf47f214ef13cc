import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import InstanceData
from torch import nn

from ddp_perception.detectors.axis_order import coordinate_order
from ddp_perception.registry import MODELS
from tests.bevfusion import tiny

CONFIGS = {
    'camera': tiny.camera_config(), 'camera + depth': tiny.camera_config(True),
    'pillars': tiny.lidar_config(), 'sparse': tiny.lidar_config(sparse=True),
    'camera + pillars': tiny.fusion_config(),
    'camera + sparse': tiny.fusion_config(sparse=True),
}


@pytest.mark.parametrize('name', CONFIGS)
def test_every_combination_trains_and_predicts(name):
    model = tiny.build(copy.deepcopy(CONFIGS[name]), train=True)
    inputs, samples = tiny.batch(1, 2)
    losses = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert list(losses) == ['loss_map'] and total.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all()
               for p in model.parameters())
    with torch.no_grad():
        predicted = model.eval()(inputs, samples, mode='predict')
        raw = model(inputs, samples, mode='tensor')
    assert raw['map'].shape == (2, 6, *tiny.GRID)
    for sample, logits in zip(predicted, raw['map']):
        torch.testing.assert_close(sample.pred_map_seg.data, logits.sigmoid())


@pytest.mark.parametrize('name', CONFIGS)
def test_batch_of_two_equals_two_batches_of_one(name):
    model = tiny.build(copy.deepcopy(CONFIGS[name]))
    with torch.no_grad():
        together = model(*tiny.batch(1, 2), mode='tensor')['map']
        alone = [model(*tiny.batch(seed), mode='tensor')['map'] for seed in (1, 2)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_image_branch_runs_once_per_batch():
    model = tiny.build(tiny.camera_config())
    shapes = []
    model.img_backbone.register_forward_pre_hook(
        lambda module, args: shapes.append(tuple(args[0].shape)))
    with torch.no_grad():
        model(*tiny.batch(1, 2), mode='tensor')
    assert shapes == [(2 * tiny.CAMERAS, 3, *tiny.IMAGE_SIZE)]


@pytest.mark.parametrize('sparse', [False, True])
def test_lidar_map_has_x_before_y(sparse):
    model = tiny.build(tiny.lidar_config(sparse))
    # All points within a metre of x = -6, y = 9: cells (4, 15) of 16 x 20.
    spread = torch.rand(200, 5, generator=torch.Generator().manual_seed(0))
    cloud = torch.cat([-6.2 + spread[:, :1], 8.6 + spread[:, 1:2],
                       -1 + spread[:, 2:]], 1)
    with torch.no_grad():
        bev = model.extract_pts_feat([cloud, cloud[:0]])
    assert bev.shape[2:] == tiny.GRID
    strength = bev[0].abs().sum(0)
    i, j = divmod(int(strength.argmax()), tiny.GRID[1])
    reach = 1 if sparse else 0  # of the strided convolutions
    assert abs(i - 4) <= reach and abs(j - 15) <= reach
    strength[1:8, 12:19] = 0
    assert not strength.any() and not bev[1].any()


@pytest.mark.parametrize('name', ['pillars', 'sparse', 'camera + pillars'])
def test_empty_clouds_give_zero_lidar_features_and_zero_gradients(name):
    model = tiny.build(copy.deepcopy(CONFIGS[name]), train=True)
    inputs, samples = tiny.batch(1, 2)
    inputs['points'] = [cloud[:0] for cloud in inputs['points']]
    before = {k: v.clone() for k, v in model.pts_middle_encoder.state_dict().items()}
    assert not model.extract_pts_feat(inputs['points']).any()
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    lidar = [p for part in (model.pts_voxel_encoder, model.pts_middle_encoder)
             for p in part.parameters()]
    assert lidar and all(not p.grad.any() for p in lidar)
    for key, value in model.pts_middle_encoder.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(m.training for m in model.modules())


def test_one_empty_cloud_leaves_the_other_sample_as_it_is():
    model = tiny.build(tiny.fusion_config())
    inputs, samples = tiny.batch(1, 2)
    with torch.no_grad():
        full = model(inputs, samples, mode='tensor')['map']
        inputs['points'][1] = inputs['points'][1][:0]
        half = model(inputs, samples, mode='tensor')['map']
    torch.testing.assert_close(half[0], full[0])
    assert not torch.allclose(half[1], full[1])


def test_a_single_voxel_trains():
    model = tiny.build(tiny.fusion_config(), train=True)
    inputs, samples = tiny.batch(1, 2)
    inputs['points'] = [inputs['points'][0][:1], inputs['points'][1][:0]]
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    assert model.extract_pts_feat(inputs['points'])[0].any()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_points_that_are_not_finite_are_reported_with_their_sample(value):
    model = tiny.build(tiny.lidar_config())
    inputs, samples = tiny.batch(1, 2)
    inputs['points'][1][[3, 5], [0, 4]] = value
    with pytest.raises(ValueError, match=re.escape(
            '2 of 300 points of sample 1 of the batch (token token2, sample_idx '
            '2, lidar_path samples/LIDAR_TOP/2.pcd.bin) have NaN or infinite')):
        model(inputs, samples, mode='loss')


@pytest.mark.parametrize('config, missing', [
    (tiny.fusion_config(), 'imgs'), (tiny.fusion_config(), 'points'),
    (tiny.camera_config(), 'imgs'), (tiny.lidar_config(), 'points'),
    (tiny.camera_config(True), 'points')])
def test_a_missing_modality_is_an_error(config, missing):
    model = tiny.build(copy.deepcopy(config))
    inputs, samples = tiny.batch(1, **{missing: False})
    with pytest.raises(ValueError, match=f"needs '{missing}' and the batch has"):
        model(inputs, samples, mode='loss')


@pytest.mark.parametrize('missing', ['imgs', 'points'])
def test_zeros_stand_for_a_missing_modality_that_is_allowed(missing):
    model = tiny.build(tiny.fusion_config() | dict(allow_missing_modality=True))
    seen = []
    model.fusion_layer.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    inputs, samples = tiny.batch(1, 2, **{missing: False})
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    zeros = seen[0][0 if missing == 'imgs' else 1]
    assert zeros.shape == (2, 12 if missing == 'imgs' else 8, *tiny.GRID)
    assert zeros.dtype == torch.float32 and not zeros.any()
    both, _ = tiny.batch(1, 2)
    model(both, samples, mode='loss')
    assert [x.shape for x in seen[0]] == [x.shape for x in seen[1]]


def test_a_batch_of_nothing_is_an_error_even_where_modalities_may_miss():
    model = tiny.build(tiny.fusion_config() | dict(allow_missing_modality=True))
    with pytest.raises(ValueError, match="neither 'imgs' nor 'points'"):
        model({}, tiny.batch(1)[1], mode='loss')


def test_depth_aided_transform_takes_missing_points_as_no_depth():
    config = tiny.camera_config(True) | dict(allow_missing_modality=True)
    model = tiny.build(config)
    inputs, samples = tiny.batch(1, 2)
    with torch.no_grad():
        without = model({'imgs': inputs['imgs']}, samples, mode='tensor')['map']
        inputs['points'] = [cloud[:0] for cloud in inputs['points']]
        empty = model(inputs, samples, mode='tensor')['map']
    assert torch.equal(without, empty)


def test_images_of_another_size_are_an_error():
    model = tiny.build(tiny.camera_config())
    inputs, samples = tiny.batch(1)
    inputs['imgs'] = inputs['imgs'][..., :48]
    with pytest.raises(ValueError, match=r'images of \(32, 64\).*got \(32, 48\)'):
        model(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match='imgs must be .batch, cameras'):
        model({'imgs': inputs['imgs'][0]}, samples, mode='loss')


@pytest.mark.parametrize('key', ['cam2img', 'cam2lidar'])
def test_missing_calibration_is_named_with_its_sample(key):
    model = tiny.build(tiny.camera_config())
    inputs, samples = tiny.batch(1, 2)
    meta = {k: v for k, v in samples[1].metainfo.items() if k != key}
    samples[1] = Det3DDataSample(metainfo=meta)
    with pytest.raises(KeyError, match=f"sample 1 .*token2.* no calibration '{key}'"):
        model(inputs, samples, mode='loss')


def test_calibration_of_a_wrong_shape_or_value_is_an_error():
    model = tiny.build(tiny.camera_config())
    inputs, samples = tiny.batch(1)
    samples[0].set_metainfo(dict(cam2lidar=np.eye(4)[None]))
    with pytest.raises(ValueError, match=r"'cam2lidar'.*\(2, 4, 4\), got \(1, 4, 4\)"):
        model(inputs, samples, mode='loss')
    samples[0].set_metainfo(dict(cam2lidar=np.full((2, 4, 4), np.nan)))
    with pytest.raises(ValueError, match="'cam2lidar' of sample 0 .*not finite"):
        model(inputs, samples, mode='loss')


def test_absent_augmentation_matrices_are_the_identity():
    model = tiny.build(tiny.camera_config())
    inputs, samples = tiny.batch(1)
    samples[0].set_metainfo(dict(img_aug_matrix=np.tile(np.eye(4), (2, 1, 1))))
    bare = copy.deepcopy(samples)
    for key in ('img_aug_matrix', 'lidar_aug_matrix'):
        bare[0].set_metainfo({key: None})
    with torch.no_grad():
        torch.testing.assert_close(
            model(inputs, samples, mode='tensor')['map'],
            model(inputs, bare, mode='tensor')['map'], rtol=0, atol=0)


@MODELS.register_module(force=True)
class TinyBoxHead(nn.Module):
    """Stands for a box head: a loss and made-up boxes."""

    def __init__(self, train_cfg=None, test_cfg=None):
        super().__init__()
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def loss(self, feats, samples):
        return {'loss_map': feats[0].mean(), 'loss_bbox': feats[0].sum()}

    def predict(self, feats, metas):
        return [InstanceData(scores_3d=torch.ones(2)) for _ in metas]


def test_boxes_and_map_are_both_learned_and_predicted():
    config = tiny.lidar_config() | dict(
        bbox_head=dict(type='ddp.TinyBoxHead', test_cfg=dict(a=1)),
        train_cfg=dict(b=2), test_cfg=dict(c=3))
    model = tiny.build(config)
    assert (model.bbox_head.train_cfg, model.bbox_head.test_cfg) == (
        dict(b=2), dict(a=1))
    inputs, samples = tiny.batch(1, 2)
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == {'loss_map', 'loss_bbox', 'map.loss_map'}
    for sample in model(inputs, samples, mode='predict'):
        assert len(sample.pred_instances_3d.scores_3d) == 2
        assert sample.pred_map_seg.data.shape == (6, *tiny.GRID)


def test_parts_are_named_as_in_mmdet3ds_project():
    model = tiny.build(tiny.fusion_config(sparse=True))
    parts = {key.split('.')[0] for key in model.state_dict()}
    assert parts == {'img_backbone', 'img_neck', 'view_transform',
                     'pts_middle_encoder', 'fusion_layer', 'pts_backbone',
                     'pts_neck', 'seg_head'}
    assert model.pts_voxel_layer.max_num_points == 8


def test_building_leaves_the_config_unchanged():
    config = tiny.fusion_config()
    before = copy.deepcopy(config)
    tiny.build(config)
    assert config == before


@pytest.mark.parametrize('drop, message', [
    (['view_transform'], 'a camera branch needs'),
    (['fusion_layer'], 'needs a fusion_layer'),
    (['pts_middle_encoder'], 'a LiDAR branch needs'),
    (['img_backbone', 'img_neck', 'view_transform'], 'fusion_layer needs a'),
    (['img_backbone', 'img_neck', 'view_transform', 'pts_voxel_encoder',
      'pts_middle_encoder', 'fusion_layer'], 'got neither')])
def test_parts_that_do_not_fit_are_an_error(drop, message):
    config = {k: v for k, v in tiny.fusion_config().items() if k not in drop}
    with pytest.raises(ValueError, match=message):
        tiny.build(config)


def test_a_voxel_encoder_that_would_never_be_called_is_an_error():
    config = copy.deepcopy(tiny.lidar_config())
    config['data_preprocessor']['voxelize_cfg']['voxelize_reduce'] = True
    with pytest.raises(ValueError, match='PillarFeatureNet would never be called'):
        tiny.build(config)


def test_fuser_names_maps_that_do_not_fit():
    fuser = MODELS.build(dict(type='ddp.ConvFuser', in_channels=[2, 3],
                              out_channels=4))
    with pytest.raises(ValueError, match=r'\(2, 3\) channels, got \(3, 2\)'):
        fuser([torch.zeros(1, 3, 4, 5), torch.zeros(1, 2, 4, 5)])
    with pytest.raises(ValueError, match='same size, got'):
        fuser([torch.zeros(1, 2, 4, 5), torch.zeros(1, 3, 5, 4)])


def test_fusion_trains_under_bfloat16_autocast():
    model = tiny.build(tiny.fusion_config(), train=True)
    inputs, samples = tiny.batch(1, 2)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all()
               for p in model.parameters())


def test_a_copy_predicts_the_same():
    model = tiny.build(tiny.fusion_config())
    inputs, samples = tiny.batch(1, 2)
    with torch.no_grad():
        expected = model(inputs, samples, mode='tensor')['map']
        copied = copy.deepcopy(model)(inputs, samples, mode='tensor')['map']
    assert torch.equal(expected, copied)


class ProjectLSS(nn.Module):
    """As in mmdet3d's project: matrices beside the images, points in place."""

    def __init__(self):
        super().__init__()
        self.image_size = tiny.IMAGE_SIZE

    def forward(self, img, points, lidar2image, intrinsics, camera2lidar,
                img_aug, lidar_aug, metas):
        for cloud in points:
            cloud -= 1
        for matrix in (lidar2image, intrinsics, camera2lidar, img_aug):
            assert matrix.shape == (*img.shape[:2], 4, 4)
            assert matrix.dtype == img.dtype
        return img.new_ones(len(img), 12, *tiny.GRID) * lidar_aug[0, 3, 3]


def test_a_view_transform_of_mmdet3ds_project_can_be_used():
    model = tiny.build(tiny.fusion_config())
    model.view_transform = ProjectLSS()
    inputs, samples = tiny.batch(1, 2)
    before = copy.deepcopy(inputs['points'])
    with torch.no_grad():
        assert model(inputs, samples, mode='tensor')['map'].isfinite().all()
    assert all(map(torch.equal, inputs['points'], before))


@pytest.mark.parametrize('encoder, order', [
    (dict(sparse_shape=[41, 160, 128]), 'zyx'),
    (dict(sparse_shape=[128, 160, 41]), 'xyz'),
    (dict(sparse_shape=[128, 160, 40]), 'xyz'),
    (dict(output_shape=[160, 128]), 'zyx'),
    (dict(sparse_shape=[9, 9, 9], coordinate_order='xyz'), 'xyz')])
def test_coordinate_order_is_read_off_the_encoder(encoder, order):
    assert coordinate_order(SimpleNamespace(**encoder), [128, 160, 40]) == order


def test_mmdet3ds_own_sparse_encoder_sees_z_y_x():
    pytest.importorskip('spconv', reason='spconv is not installed')
    config = copy.deepcopy(tiny.lidar_config(sparse=True))
    config['pts_middle_encoder'] = dict(
        type='SparseEncoder', in_channels=5, sparse_shape=[41, 160, 128],
        base_channels=4, output_channels=6,
        encoder_channels=((4, ), (4, 4), (4, 4), (4, 4)),
        encoder_paddings=((1, ), (1, 1), (1, 1), ((0, 1, 1), 1)))
    model = tiny.build(config)
    cloud = torch.tensor([[-6.0, 9.0, 0.0, 1.0, 1.0], [-5.5, 9.5, 0.5, 1.0, 1.0]])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # spconv's CPU kernels race
        with torch.no_grad():
            bev = model.extract_pts_feat([cloud, cloud[:0]])
    finally:
        torch.set_num_threads(threads)
    assert bev.shape[2:] == tiny.GRID
    i, j = divmod(int(bev[0].abs().sum(0).argmax()), tiny.GRID[1])
    assert abs(i - 4) <= 1 and abs(j - 15) <= 1
