# A rig of your own: four cameras of two sizes and one LiDAR, two classes, a map of
# 40 m x 60 m that reaches further ahead than behind. docs/own_data.md goes through it.
_base_ = '../../nuscenes_map_seg/configs/demo_fusion_cpu.py'

data_root = 'data/synthetic_custom/'
cameras = ('front', 'left', 'right', 'back')  # as the lists of frames name them
classes = map_classes = ('road', 'walkway')
point_values = 4  # numbers per point in the files: x, y, z, intensity
# (min, max, cell) in metres: BEV frame, x right, y forward, from the ego origin.
map_grid = ((-20., 20., 0.5), (-15., 45., 0.5))
decoder_grid = ((-20., 20., 1.), (-15., 45., 1.))
# The features cover the map and a little more, in a multiple of 2 cells of 0.8 m.
feature_grid = ((-20.8, 20.8, 0.8), (-16., 46.4, 0.8))  # 52 x 78 cells
point_cloud_range = [-20.8, -16., -3., 20.8, 46.4, 5.]
final_dim = (96, 160)  # height, width of what the model sees of each image
source_width = 320  # every image is brought to this width, then by 0.5 to `final_dim`
epochs = 8
lr = 3e-3

model = dict(
    data_preprocessor=dict(voxelize_cfg=dict(
        voxel_size=[0.8, 0.8, 8.], point_cloud_range=point_cloud_range)),
    view_transform=dict(image_size=final_dim, feature_size=[12, 20],
                        xbound=feature_grid[0], ybound=feature_grid[1],
                        dbound=[1., 50., 1.]),
    pts_voxel_encoder=dict(in_channels=point_values,
                           point_cloud_range=point_cloud_range),
    pts_middle_encoder=dict(output_shape=[78, 52]),  # cells along y, along x
    seg_head=dict(classes=classes, output_grid=map_grid, decoder_grid=decoder_grid))

load_images = dict(type='ddp.LoadMultiViewImages', cameras=cameras)
load_points = [dict(type='ddp.LoadPoints', load_dim=point_values,
                    use_dim=point_values)]
load_map = dict(type='ddp.LoadBEVMasks', xbound=map_grid[0], ybound=map_grid[1],
                classes=classes)
augment_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                      source_width=source_width, resize_lim=(0.5, 0.54),
                      rot_lim=(-3., 3.), is_train=True)
resize_images = dict(type='ddp.ImageAug3D', final_dim=final_dim,
                     source_width=source_width, resize_lim=(0.5, 0.5))
turn_points = dict(type='ddp.GlobalRotScaleTrans', rot_range=(-0.2, 0.2),
                   scale_ratio_range=(0.95, 1.05), translation_std=0.5)
# Left and right, not ahead and behind: this rig does not see the same in both.
mirror_points = dict(type='ddp.RandomFlip3D', flip_ratio_bev_horizontal=0.,
                     flip_ratio_bev_vertical=0.5)
crop_points = dict(type='PointsRangeFilter', point_cloud_range=point_cloud_range)
train_pipeline = [load_images, *load_points, augment_images, turn_points, mirror_points,
                  crop_points, dict(type='PointShuffle'), load_map, _base_.pack]
# Frames without a map can be predicted too.
test_pipeline = [load_images, *load_points, resize_images, crop_points,
                 dict(load_map, optional=True), _base_.pack]

train_frames = dict(type='ddp.BEVDataset', data_root=data_root,
                    ann_file='train.json', pipeline=train_pipeline)
val_frames = dict(type='ddp.BEVDataset', data_root=data_root,
                  ann_file='val.json', test_mode=True, pipeline=test_pipeline)
train_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=1, persistent_workers=True,
    drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=train_frames)
val_dataloader = dict(
    _delete_=True, batch_size=2, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=val_frames)
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=epochs, val_interval=epochs)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=1, by_epoch=True,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=epochs, T_max=epochs - 1,
         eta_min=lr * 1e-3, by_epoch=True, convert_to_iter_based=True)]
