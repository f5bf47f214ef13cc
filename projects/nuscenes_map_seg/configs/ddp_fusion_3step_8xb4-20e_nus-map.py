# Six cameras and ten LiDAR sweeps, diffusion head: the published fusion model.
_base_ = ['./_base_/nus-map.py', './_base_/8xb4-20e.py', './_base_/camera.py',
          './_base_/lidar.py']

model = dict(
    type='ddp.BEVFusion',
    data_preprocessor=dict(
        type='Det3DDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_size_divisor=32,
        voxelize_cfg=_base_.voxelize),
    **_base_.camera_bev,
    **_base_.lidar_bev,
    fusion_layer=dict(type='ddp.ConvFuser', in_channels=[80, 256], out_channels=256),
    **_base_.second_fpn,
    seg_head=dict(
        type='ddp.MapSegHead', classes=_base_.map_classes,
        output_grid=_base_.map_grid, sampler=dict(num_steps=3)))
