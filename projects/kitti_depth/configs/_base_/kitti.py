# KITTI depth, Eigen split, on the crop of the benchmark: data, augmentation, metric.
data_root = 'data/kitti/'
crop_size = (352, 704)
pack = dict(type='PackSegInputs', meta_keys=(
    'img_path', 'depth_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
    'flip', 'flip_direction', 'kb_crop'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth'),
    dict(type='ddp.KBCrop'),
    dict(type='ddp.DepthRandomRotate', degree=2.5, prob=0.5),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=crop_size),
    dict(type='ddp.DepthColorAug', prob=0.5),
    pack]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth', optional=True),
    dict(type='ddp.KBCrop'),
    pack]
train_dataloader = dict(
    batch_size=2, num_workers=2, persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='ddp.KITTIDepthDataset', data_root=data_root,
                 ann_file='kitti_eigen_train.txt', pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1, num_workers=4, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ddp.KITTIDepthDataset', data_root=data_root, test_mode=True,
                 ann_file='kitti_eigen_test.txt', pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='ddp.KITTIDepthMetric', min_depth=1e-3, max_depth=80.,
                     crop='garg')
test_evaluator = val_evaluator
