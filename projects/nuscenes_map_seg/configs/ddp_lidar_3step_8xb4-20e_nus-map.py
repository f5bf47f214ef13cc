# Ten LiDAR sweeps alone, diffusion head.
_base_ = ['./_base_/nus-map.py', './_base_/8xb4-20e.py', './_base_/lidar.py']

model = dict(
    type='ddp.BEVFusion',
    data_preprocessor=dict(type='Det3DDataPreprocessor', voxelize_cfg=_base_.voxelize),
    **_base_.lidar_bev,
    **_base_.second_fpn,
    seg_head=dict(
        type='ddp.MapSegHead', classes=_base_.map_classes,
        output_grid=_base_.map_grid, sampler=dict(num_steps=3)))

modality = dict(use_camera=False, use_lidar=True)
train_pipeline = [*_base_.load_points, *_base_.augment_bev, _base_.crop_points,
                  dict(type='PointShuffle'), _base_.load_map, _base_.pack]
test_pipeline = [*_base_.load_points, _base_.crop_points, _base_.load_map, _base_.pack]
train_dataloader = dict(dataset=dict(dataset=dict(
    modality=modality, pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(modality=modality, pipeline=test_pipeline))
test_dataloader = val_dataloader
