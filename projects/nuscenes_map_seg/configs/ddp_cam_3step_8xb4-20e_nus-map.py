# Six cameras, diffusion head: the published camera-only model.
_base_ = ['./_base_/nus-map.py', './_base_/8xb4-20e.py', './_base_/camera.py']

model = dict(
    type='ddp.BEVFusion',
    data_preprocessor=dict(
        type='Det3DDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_size_divisor=32),
    **_base_.camera_bev,
    pts_backbone=dict(type='ddp.GeneralizedResNet', in_channels=80,
                      blocks=[(2, 160, 2), (2, 320, 2), (2, 640, 1)]),
    pts_neck=dict(type='ddp.LSSFPN', in_indices=[-1, 0], in_channels=[640, 160],
                  out_channels=256, scale_factor=2),
    seg_head=dict(
        type='ddp.MapSegHead', classes=_base_.map_classes,
        output_grid=_base_.map_grid, sampler=dict(num_steps=3)))

# No points: their augmentation still moves the BEV grid under the cameras.
modality = dict(use_camera=True, use_lidar=False)
train_pipeline = [_base_.load_images, _base_.augment_images, *_base_.augment_bev,
                  _base_.load_map, _base_.pack]
test_pipeline = [_base_.load_images, _base_.resize_images, _base_.load_map, _base_.pack]
train_dataloader = dict(dataset=dict(dataset=dict(
    modality=modality, pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(modality=modality, pipeline=test_pipeline))
test_dataloader = val_dataloader
