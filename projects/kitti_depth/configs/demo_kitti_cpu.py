# Depth that trains on two CPU cores in minutes, on a synthetic set in the layout of
# KITTI, 621 x 188 pixels: half of the real size. The same parts as the full-size
# models.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/resnet10t_pyramid.py',
          '../../_base_/400_iters_cpu.py', './_base_/depth_head.py',
          './_base_/kitti.py']

data_root = 'data/synthetic_kitti/'
kb_crop = (176, 608)
crop_size = (176, 320)
model = dict(type='DepthEstimator', **_base_.pyramid, **_base_.head)
model['data_preprocessor'].update(size=crop_size, seg_pad_val=0)
model['decode_head'].update(in_channels=48, channels=48, num_layers=2, num_heads=4)
model['test_cfg'].update(crop_size=kb_crop, stride=kb_crop)

load = [dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
        dict(type='ddp.KBCrop', height=kb_crop[0], width=kb_crop[1])]
train_pipeline = [
    *load,
    dict(type='RandomFlip', prob=0.5),
    dict(type='ddp.DepthRandomCrop', crop_size=crop_size),
    dict(type='ddp.DepthColorAug', prob=0.5),
    _base_.pack]
test_pipeline = [*load, _base_.pack]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(
    data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, num_workers=1, persistent_workers=False,
                      dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=_base_.iterations, max_keep_ckpts=1))
