# Depth that trains on two CPU cores in minutes, on a synthetic set in the layout of
# KITTI, 416 x 128 pixels: a third of the real size. The same parts as the full-size
# models.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/narrow_resnet_pyramid.py',
          '../../_base_/cpu_minutes.py', './_base_/depth_head.py',
          './_base_/kitti.py']

data_root = 'data/demo_kitti/'
kb_crop = (112, 400)
crop_size = (112, 224)
model = dict(type='ddp.DepthEstimator', **_base_.pyramid, **_base_.head)
model['data_preprocessor'].update(size=crop_size, seg_pad_val=0)
model['decode_head'].update(
    in_channels=48, decoder=dict(channels=48, num_layers=2, num_heads=4),
    scale_up=True)
model['test_cfg'].update(crop_size=kb_crop, stride=kb_crop)

crop = dict(type='ddp.KBCrop', height=kb_crop[0], width=kb_crop[1])
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'), crop,
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=crop_size),
    dict(type='ddp.DepthColorAug', prob=0.5),
    _base_.pack]
test_pipeline = [  # mmseg's inference has no depth
    dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth', optional=True),
    crop, _base_.pack]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(
    data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, num_workers=1, persistent_workers=False,
                      dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader

iterations = 950
train_cfg = dict(max_iters=iterations, val_interval=iterations)
warm_up = iterations // 10
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=warm_up, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=warm_up, end=iterations,
         T_max=iterations - warm_up, eta_min=_base_.lr * 1e-2, by_epoch=False)]
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=iterations, max_keep_ckpts=1))
