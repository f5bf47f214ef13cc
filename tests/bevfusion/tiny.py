"""A BEVFusion that is small enough for tests, and batches for it."""
import numpy as np
import torch
import torch.nn.functional as F
from mmdet3d.structures import Det3DDataSample
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from torch import nn

from ddp_perception.registry import MODELS

IMAGE_SIZE, CAMERAS, GRID = (32, 64), 2, (16, 20)
XBOUND, YBOUND = [-12.8, 12.8, 1.6], [-16.0, 16.0, 1.6]
RANGE = [-12.8, -16.0, -5.0, 12.8, 16.0, 3.0]


@MODELS.register_module(force=True)
class TinyMapHead(BaseModule):
    """One convolution to six sigmoid maps on the model's own grid."""

    def __init__(self, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 6, 1)

    def forward(self, feats):
        return self.conv(feats if isinstance(feats, torch.Tensor) else feats[0])

    def loss(self, feats, samples):
        target = torch.stack([s.gt_map_seg.data for s in samples]).float()
        return {'loss_map': F.binary_cross_entropy_with_logits(
            self(feats), target)}

    def predict(self, feats, samples):
        for sample, maps in zip(samples, self(feats).sigmoid(), strict=True):
            sample.pred_map_seg = PixelData(data=maps)


def camera_parts(depth_aided=False):
    """Configuration of the camera branch: 12 channels on a 16 x 20 grid."""
    return dict(
        img_backbone=dict(
            type='ddp.TimmBackbone', model_name='test_resnet',
            out_indices=(2, 3, 4) if depth_aided else (1, 2, 3)),
        img_neck=dict(type='ddp.GeneralizedLSSFPN', in_channels=(
                          [48, 192, 96] if depth_aided else [32, 48, 192]),
                      out_channels=16, num_outs=3,
                      upsample_cfg=dict(mode='bilinear', align_corners=False)),
        view_transform=dict(
            type='ddp.DepthLSSTransform' if depth_aided else 'ddp.LSSTransform',
            in_channels=16, out_channels=12, image_size=IMAGE_SIZE,
            feature_size=[4, 8] if depth_aided else [8, 16],
            xbound=XBOUND, ybound=YBOUND, zbound=[-10.0, 10.0, 20.0],
            dbound=[1.0, 20.0, 1.0], downsample=1))


def pillar_parts():
    """Configuration of a pillar LiDAR branch: 8 channels on 16 x 20."""
    return dict(
        data_preprocessor=dict(
            type='mmdet3d.Det3DDataPreprocessor',
            voxelize_cfg=dict(max_num_points=8, point_cloud_range=RANGE,
                              voxel_size=[1.6, 1.6, 8.0],
                              max_voxels=[400, 400], voxelize_reduce=False)),
        pts_voxel_encoder=dict(
            type='PillarFeatureNet', in_channels=5, feat_channels=[8],
            with_distance=False, voxel_size=[1.6, 1.6, 8.0],
            point_cloud_range=RANGE, legacy=False,
            norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.01)),
        pts_middle_encoder=dict(type='PointPillarsScatter', in_channels=8,
                                output_shape=[20, 16]))


def sparse_parts():
    """Configuration of the sparse LiDAR branch: 12 channels on 16 x 20."""
    return dict(
        data_preprocessor=dict(
            type='mmdet3d.Det3DDataPreprocessor',
            voxelize_cfg=dict(max_num_points=8, point_cloud_range=RANGE,
                              voxel_size=[0.2, 0.2, 0.2],
                              max_voxels=[2000, 2000], voxelize_reduce=True)),
        pts_voxel_encoder=dict(type='HardSimpleVFE', num_features=5),
        pts_middle_encoder=dict(
            type='ddp.BEVFusionSparseEncoder', in_channels=5,
            sparse_shape=[128, 160, 41], base_channels=4, output_channels=6,
            encoder_channels=((4, 4, 6), (6, 6, 6), (6, 6, 8), (8, 8)),
            encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, (1, 1, 0)), (0, 0)),
            block_type='basicblock'))


def decoder_parts(in_channels):
    """mmdet3d's SECOND and SECONDFPN, and the map head."""
    norm = dict(type='BN', eps=1e-3, momentum=0.01)
    return dict(
        pts_backbone=dict(
            type='SECOND', in_channels=in_channels, out_channels=[8, 12],
            layer_nums=[1, 1], layer_strides=[1, 2], norm_cfg=norm,
            conv_cfg=dict(type='Conv2d', bias=False)),
        pts_neck=dict(
            type='SECONDFPN', in_channels=[8, 12], out_channels=[8, 8],
            upsample_strides=[1, 2], norm_cfg=norm,
            upsample_cfg=dict(type='deconv', bias=False),
            use_conv_for_no_stride=True),
        seg_head=dict(type='ddp.TinyMapHead', in_channels=16))


def camera_config(depth_aided=False):
    """Camera only, with the published camera decoder."""
    return dict(
        type='ddp.BEVFusion', **camera_parts(depth_aided),
        data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
        pts_backbone=dict(type='ddp.GeneralizedResNet', in_channels=12,
                          blocks=[[1, 8, 2], [1, 10, 2], [1, 12, 1]]),
        pts_neck=dict(type='ddp.LSSFPN', in_indices=[-1, 0],
                      in_channels=[12, 8], out_channels=16, scale_factor=2),
        seg_head=dict(type='ddp.TinyMapHead', in_channels=16))


def lidar_config(sparse=False):
    """LiDAR only."""
    parts = sparse_parts() if sparse else pillar_parts()
    return dict(type='ddp.BEVFusion', **parts, **decoder_parts(12 if sparse else 8))


def fusion_config(sparse=False, depth_aided=False):
    """Camera and LiDAR."""
    parts = sparse_parts() if sparse else pillar_parts()
    fuser = dict(type='ddp.ConvFuser', in_channels=[12, 12 if sparse else 8],
                 out_channels=16)
    return dict(type='ddp.BEVFusion', **camera_parts(depth_aided), **parts,
                fusion_layer=fuser, **decoder_parts(16))


def build(config, train=False):
    """Build a model with the same random weights every time."""
    torch.manual_seed(0)
    return MODELS.build(config).train(train)


def camera_matrices(rng):
    """cam2img, lidar2cam of cameras that look along +x and -y, jittered."""
    cam2img = np.tile(np.eye(4), (CAMERAS, 1, 1))
    cam2img[:, 0, 0] = cam2img[:, 1, 1] = 40 + rng.uniform(0, 2, CAMERAS)
    cam2img[:, 0, 2], cam2img[:, 1, 2] = 32, 14
    axes = np.array([[[0, -1, 0], [0, 0, -1], [1, 0, 0]],
                     [[-1, 0, 0], [0, 0, -1], [0, -1, 0]]], dtype=float)
    lidar2cam = np.tile(np.eye(4), (CAMERAS, 1, 1))
    lidar2cam[:, :3, :3] = axes
    lidar2cam[:, :3, 3] = rng.uniform(-.3, .3, (CAMERAS, 3))
    return cam2img, lidar2cam


def sample(seed, points=300):
    """One sample after the data preprocessor: image, points, data sample."""
    rng = np.random.default_rng(seed)
    cam2img, lidar2cam = camera_matrices(rng)
    aug = np.tile(np.eye(4), (CAMERAS, 1, 1))
    aug[:, 0, 3] = rng.uniform(-3, 3, CAMERAS)
    data_sample = Det3DDataSample()
    data_sample.set_metainfo(dict(
        cam2img=cam2img, cam2lidar=np.linalg.inv(lidar2cam),
        lidar2img=cam2img @ lidar2cam, img_aug_matrix=aug,
        lidar_aug_matrix=np.eye(4), token=f'token{seed}', sample_idx=seed,
        lidar_path=f'samples/LIDAR_TOP/{seed}.pcd.bin'))
    masks = rng.random((6, *GRID)) < .3
    data_sample.gt_map_seg = PixelData(data=torch.from_numpy(masks))
    image = torch.from_numpy(rng.normal(size=(CAMERAS, 3, *IMAGE_SIZE))).float()
    low, high = np.array(RANGE[:3] + [0, 0]), np.array(RANGE[3:] + [1, .5])
    cloud = torch.from_numpy(rng.uniform(low, high, (points, 5))).float()
    return image, cloud, data_sample


def batch(*seeds, imgs=True, points=True):
    """Model inputs and data samples of some seeds."""
    images, clouds, samples = zip(*(sample(seed) for seed in seeds))
    inputs = {}
    if imgs:
        inputs['imgs'] = torch.stack(images)
    if points:
        inputs['points'] = list(clouds)
    return inputs, list(samples)
