# Consecutive frames of one KITTI drive: the first 40 train, the next 12 are evaluated.
# The network sees images of half size; the truth keeps its size, so that no return
# is lost, and predictions are evaluated at full size.
data_root = 'data/kitti_drive/'
ann_file = 'frames.txt'
train_frames = 40  # of the list, which is sorted
test_frames = list(range(40, 52))
full_crop_size = (352, 704)
crop_size = (176, 352)
half_size = dict(type='mmcv.Resize', scale_factor=0.5)  # of the image alone
pack = dict(type='PackSegInputs', meta_keys=(
    'img_path', 'depth_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
    'flip', 'flip_direction', 'kb_crop'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth'),
    dict(type='ddp.KBCrop'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=full_crop_size),
    half_size,
    dict(type='PhotoMetricDistortion', hue_delta=9),
    pack]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth', optional=True),
    dict(type='ddp.KBCrop'),
    half_size,
    pack]
train_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='ddp.KITTIDepthDataset', data_root=data_root, ann_file=ann_file,
                 indices=train_frames, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ddp.KITTIDepthDataset', data_root=data_root, ann_file=ann_file,
                 indices=test_frames, pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='ddp.KITTIDepthMetric', min_depth=1e-3, max_depth=80.,
                     crop='garg')
test_evaluator = val_evaluator
