# A camera + LiDAR model small enough to train on two CPU cores in minutes, on the
# synthetic set that `make demo` writes. Same parts as the full-size fusion model
# but for pillars, which need no GPU, and half-size pictures.
_base_ = ['./_base_/nus-map.py']

data_root = 'data/demo_nuscenes/'
classes = _base_.map_classes
map_grid = _base_.map_grid
point_cloud_range = _base_.point_cloud_range
final_dim = (64, 176)
source_width = 352  # of the pictures; others are brought to it
batch_size = 2
epochs = 5
lr = 3e-3

model = dict(
    type='ddp.BEVFusion',
    data_preprocessor=dict(
        type='Det3DDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        voxelize_cfg=dict(max_num_points=10, voxel_size=[0.8, 0.8, 8.],
                          point_cloud_range=point_cloud_range,
                          max_voxels=[16384, 16384])),
    img_backbone=dict(type='ddp.TimmBackbone', model_name='resnet10t',
                      out_indices=[2, 3], pretrained=False),
    img_neck=dict(type='ddp.GeneralizedLSSFPN', in_channels=[128, 256], out_channels=32,
                  start_level=0, num_outs=2,
                  norm_cfg=dict(type='BN2d', requires_grad=True),
                  act_cfg=dict(type='ReLU', inplace=True),
                  upsample_cfg=dict(mode='bilinear', align_corners=False)),
    view_transform=dict(
        type='ddp.LSSTransform', in_channels=32, out_channels=32, image_size=final_dim,
        feature_size=[8, 22], xbound=[-51.2, 51.2, 0.8], ybound=[-51.2, 51.2, 0.8],
        zbound=[-10., 10., 20.], dbound=[1., 60., 1.]),
    pts_voxel_encoder=dict(
        type='PillarFeatureNet', in_channels=5, feat_channels=[32], with_distance=False,
        voxel_size=[0.8, 0.8, 8.], point_cloud_range=point_cloud_range, legacy=False,
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.1)),
    pts_middle_encoder=dict(type='PointPillarsScatter', in_channels=32,
                            output_shape=[128, 128]),
    fusion_layer=dict(type='ddp.ConvFuser', in_channels=[32, 32], out_channels=48),
    pts_backbone=dict(type='SECOND', in_channels=48, out_channels=[48, 64],
                      layer_nums=[1, 1], layer_strides=[1, 2],
                      norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
                      conv_cfg=dict(type='Conv2d', bias=False)),
    pts_neck=dict(type='SECONDFPN', in_channels=[48, 64], out_channels=[32, 32],
                  upsample_strides=[1, 2],
                  norm_cfg=dict(type='BN', eps=1e-3, momentum=0.1),
                  upsample_cfg=dict(type='deconv', bias=False),
                  use_conv_for_no_stride=True),
    seg_head=dict(
        type='ddp.MapSegHead', classes=classes, output_grid=map_grid,
        decoder_grid=[[-50., 50., 1.], [-50., 50., 1.]], keep_steps=True,
        decoder=dict(channels=48, num_layers=2, num_heads=4, num_points=2,
                     feedforward_channels=96),
        sampler=dict(num_steps=3)))

load_points = [dict(type='ddp.LoadPoints'), dict(type='ddp.LoadSweeps', sweeps_num=4)]
augment_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                      source_width=source_width, resize_lim=(0.46, 0.54),
                      rot_lim=(-3., 3.), is_train=True)
resize_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                     source_width=source_width, resize_lim=(0.5, 0.5))
# Gentler than the published augmentation: few epochs, few scenes.
turn_points = dict(type='ddp.GlobalRotScaleTrans', rot_range=(-0.3, 0.3),
                   scale_ratio_range=(0.95, 1.05), translation_std=0.5)
train_pipeline = [_base_.load_images, *load_points, augment_images, turn_points,
                  _base_.augment_bev[1], _base_.crop_points, dict(type='PointShuffle'),
                  _base_.load_map, _base_.pack]
test_pipeline = [_base_.load_images, *load_points, resize_images, _base_.crop_points,
                 _base_.load_map, _base_.pack]
train_dataset = dict(
    type='ddp.NuScenesMapDataset', data_root=data_root,
    ann_file='nuscenes_infos_train.pkl', map_classes=classes, pipeline=train_pipeline)
val_dataset = dict(
    type='ddp.NuScenesMapDataset', data_root=data_root,
    ann_file='nuscenes_infos_val.pkl', map_classes=classes, test_mode=True,
    box_type_3d='LiDAR',  # mmdet3d's inference API reads it here
    pipeline=test_pipeline)
train_dataloader = dict(
    _delete_=True, batch_size=batch_size, num_workers=1, persistent_workers=True,
    drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=train_dataset)
val_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = [dict(type='ddp.MapIoUMetric'), dict(type='ddp.MapIoUMetric', step=0)]
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=epochs)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='OptimWrapper',
                     optimizer=dict(type='AdamW', lr=lr, weight_decay=0.01),
                     clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=1, by_epoch=True,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=epochs, T_max=epochs - 1,
         eta_min=lr * 1e-3, by_epoch=True, convert_to_iter_based=True)]
randomness = dict(seed=0)
env_cfg = dict(dist_cfg=dict(backend='gloo'),
               mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='ddp.CheckpointHook', interval=1, max_keep_ckpts=1),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [dict(type='ddp.BroadcastBuffersHook')]
log_processor = dict(type='LogProcessor', window_size=10, by_epoch=True)
log_level = 'INFO'
