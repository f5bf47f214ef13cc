# nuScenes map segmentation: data, augmentation, metric. Camera and LiDAR.
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
default_scope = 'mmdet3d'

data_root = 'data/nuscenes/'
map_classes = ('drivable_area', 'ped_crossing', 'walkway', 'stop_line',
               'carpark_area', 'divider')
# (min, max, cell) in metres: LiDAR frame, x right, y forward.
map_grid = ((-50., 50., 0.5), (-50., 50., 0.5))
point_cloud_range = [-51.2, -51.2, -5., 51.2, 51.2, 3.]
final_dim = (256, 704)
sweeps_num = 9

load_images = dict(type='ddp.LoadMultiViewImages')
load_points = [dict(type='ddp.LoadPoints'),
               dict(type='ddp.LoadSweeps', sweeps_num=sweeps_num)]
load_map = dict(type='ddp.LoadMapMasks', xbound=map_grid[0], ybound=map_grid[1],
                classes=map_classes)
augment_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                      resize_lim=(0.38, 0.55), rot_lim=(-5.4, 5.4),
                      rand_flip=True, is_train=True)
resize_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                     resize_lim=(0.48, 0.48))
augment_bev = [
    dict(type='ddp.GlobalRotScaleTrans', rot_range=(-0.7854, 0.7854),
         scale_ratio_range=(0.9, 1.1), translation_std=0.5),
    dict(type='ddp.RandomFlip3D', flip_ratio_bev_horizontal=0.5,
         flip_ratio_bev_vertical=0.5)]
crop_points = dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range)
pack = dict(type='ddp.PackMapInputs')

train_pipeline = [load_images, *load_points, augment_images, *augment_bev, crop_points,
                  dict(type='PointShuffle'), load_map, pack]
test_pipeline = [load_images, *load_points, resize_images, crop_points, load_map, pack]

train_dataset = dict(
    type='ddp.NuScenesMapDataset', data_root=data_root,
    ann_file='nuscenes_infos_train.pkl', map_classes=map_classes,
    modality=dict(use_camera=True, use_lidar=True), pipeline=train_pipeline)
val_dataset = dict(
    type='ddp.NuScenesMapDataset', data_root=data_root,
    ann_file='nuscenes_infos_val.pkl', map_classes=map_classes, test_mode=True,
    box_type_3d='LiDAR',  # mmdet3d's inference API reads it here
    modality=dict(use_camera=True, use_lidar=True), pipeline=test_pipeline)

train_dataloader = dict(
    batch_size=4, num_workers=4, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Class-balanced by the boxes of the frames, as in the published recipe.
    dataset=dict(type='ddp.BalancedDataset', dataset=train_dataset))
val_dataloader = dict(
    batch_size=1, num_workers=4, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=val_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='ddp.MapIoUMetric')
test_evaluator = val_evaluator
