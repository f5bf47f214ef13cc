# Swin-T on NYU Depth v2, in the layout of mmseg's NYUDataset: the published model,
# with layers that know the noise level and with truth shrunk by its valid returns.
_base_ = './ddp_swin-t_8xb2-38k_kitti-352x704.py'

max_depth = 10.  # metres
crop_size = (416, 544)
model = dict(
    data_preprocessor=dict(size=crop_size),
    decode_head=dict(max_depth=max_depth),
    test_cfg=dict(crop_size=(480, 640), stride=(480, 640)))
optim_wrapper = dict(optimizer=dict(lr=6e-5))

load = [dict(type='LoadImageFromFile'),
        dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3)]
train_pipeline = [
    *load,
    dict(type='ddp.DepthRandomRotate', degree=2.5, prob=0.5),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=crop_size),
    dict(type='ddp.DepthColorAug', prob=0.5),
    _base_.pack]
test_pipeline = [*load, _base_.pack]
train_dataloader = dict(dataset=dict(
    _delete_=True, type='NYUDataset', data_root='data/nyu/', pipeline=train_pipeline,
    data_prefix=dict(img_path='images/train', depth_map_path='annotations/train')))
val_dataloader = dict(dataset=dict(
    _delete_=True, type='NYUDataset', data_root='data/nyu/', pipeline=test_pipeline,
    test_mode=True,
    data_prefix=dict(img_path='images/test', depth_map_path='annotations/test')))
test_dataloader = val_dataloader
val_evaluator = dict(max_depth=max_depth, crop='nyu')
test_evaluator = val_evaluator
