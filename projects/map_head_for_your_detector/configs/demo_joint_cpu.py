# The pillar model with the map head, small enough to train on two CPU cores in
# minutes, on the synthetic set that `make demo-joint` writes.
_base_ = './centerpoint-pillar_map.py'

data_root = 'data/demo_nuscenes/'
map_classes = ('drivable_area', 'ped_crossing', 'walkway', 'stop_line',
               'carpark_area', 'divider')
region = _base_.point_cloud_range
voxel_size = [0.8, 0.8, 8]
stride = 2
batch_size = 2
repeats = 6  # times that the one epoch shows every frame
lr = 3e-3

model = dict(
    detector=dict(
        data_preprocessor=dict(voxel_layer=dict(
            max_num_points=20, voxel_size=voxel_size, max_voxels=(12000, 12000))),
        pts_voxel_encoder=dict(feat_channels=[32], voxel_size=voxel_size),
        pts_middle_encoder=dict(in_channels=32, output_shape=(128, 128)),
        pts_backbone=dict(in_channels=32, out_channels=[32, 48, 64],
                          layer_nums=[1, 1, 1]),
        pts_neck=dict(in_channels=[32, 48, 64], out_channels=[32, 32, 32],
                     upsample_strides=[1, 2, 4]),
        pts_bbox_head=dict(
            in_channels=96, share_conv_channel=32,
            tasks=[dict(num_class=10, class_names=_base_.class_names)],
            separate_head=dict(head_conv=32),
            bbox_coder=dict(voxel_size=voxel_size[:2], out_size_factor=stride)),
        train_cfg=dict(pts=dict(grid_size=[128, 128, 1], voxel_size=voxel_size,
                                out_size_factor=stride)),
        test_cfg=dict(pts=dict(voxel_size=voxel_size[:2], out_size_factor=stride,
                               pre_max_size=200))),
    seg_head=dict(
        decoder_grid=((-50., 50., 1.25), (-50., 50., 1.25)), keep_steps=True,
        decoder=dict(channels=48, num_layers=2, num_heads=4, num_points=2,
                     feedforward_channels=96),
        loss=dict(loss_weight=4.), sampler=dict(num_steps=3)))

load_points = [
    dict(type='ddp.LoadPoints'), dict(type='ddp.LoadSweeps', sweeps_num=4)]
load_map = [dict(type='ddp.LoadMapMasks'), dict(type='ddp.PackMapInputs')]
train_pipeline = [
    *load_points, dict(type='LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
    dict(type='GlobalRotScaleTrans', rot_range=[-0.3925, 0.3925],
         scale_ratio_range=[0.95, 1.05], translation_std=[0, 0, 0]),
    dict(type='RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5,
         flip_ratio_bev_vertical=0.5),
    dict(type='PointsRangeFilter', point_cloud_range=region),
    dict(type='ObjectRangeFilter', point_cloud_range=region),
    dict(type='ObjectNameFilter', classes=_base_.class_names),
    dict(type='PointShuffle'), *load_map]
test_pipeline = [*load_points, dict(type='PointsRangeFilter', point_cloud_range=region),
                 *load_map]

dataset = dict(
    type='ddp.NuScenesMapDataset', data_root=data_root, map_classes=map_classes,
    metainfo=dict(classes=_base_.class_names),
    modality=dict(use_camera=True, use_lidar=True))  # cameras for the picture alone
train_dataloader = dict(
    _delete_=True, batch_size=batch_size, num_workers=1, persistent_workers=False,
    drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='RepeatDataset', times=repeats, dataset=dict(
        ann_file='nuscenes_infos_train.pkl', pipeline=train_pipeline, **dataset)))
val_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        ann_file='nuscenes_infos_val.pkl', pipeline=test_pipeline, test_mode=True,
        **dataset))
test_dataloader = val_dataloader
val_evaluator = [
    dict(type='NuScenesMetric', data_root=data_root, metric='bbox',
         ann_file=data_root + 'nuscenes_infos_val.pkl'),
    dict(type='ddp.MapIoUMetric'), dict(type='ddp.MapIoUMetric', step=0)]
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', begin=0, end=1, T_max=1, eta_min=lr * 1e-2,
         by_epoch=True, convert_to_iter_based=True)]
randomness = dict(seed=0)
env_cfg = dict(dist_cfg=dict(backend='gloo'),
               mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
default_hooks = dict(logger=dict(interval=10),
                     checkpoint=dict(interval=1, max_keep_ckpts=1))
log_processor = dict(window_size=10)
