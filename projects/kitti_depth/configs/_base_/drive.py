# Consecutive frames of one KITTI drive: the first 40 train, the next 12 are evaluated.
# The network sees images of half size; the truth keeps its size, so that no return
# is lost, and predictions are evaluated at full size.
_base_ = './kitti.py'

data_root = 'data/kitti_drive/'
crop_size = (176, 352)
half_size = dict(type='mmcv.Resize', scale_factor=0.5)  # of the image alone
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ddp.LoadKITTIDepth'),
    dict(type='ddp.KBCrop'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=_base_.crop_size),
    half_size,
    dict(type='PhotoMetricDistortion', hue_delta=9),
    _base_.pack]
test_pipeline = [*_base_.test_pipeline[:-1], half_size, _base_.pack]
listed = dict(data_root=data_root, ann_file='frames.txt')
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(
    **listed, indices=40, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, persistent_workers=False, dataset=dict(
    **listed, indices=list(range(40, 52)), pipeline=test_pipeline))
test_dataloader = val_dataloader
