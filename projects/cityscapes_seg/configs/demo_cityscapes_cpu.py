# Segmentation that trains on two CPU cores in minutes, on a synthetic set in the
# layout of Cityscapes, 512 x 256 pixels. The same parts as the full-size models.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/narrow_resnet_pyramid.py',
          '../../_base_/cpu_minutes.py', './_base_/seg_heads.py',
          './_base_/cityscapes.py']

data_root = 'data/demo_cityscapes/'
crop_size = (160, 320)
model = dict(type='ddp.EncoderDecoder', **_base_.pyramid, **_base_.heads)
model['data_preprocessor']['size'] = crop_size
model['decode_head'].update(
    in_channels=48, decoder=dict(channels=48, num_layers=2, num_heads=4))
model['auxiliary_head'].update(in_channels=48, channels=48, norm_cfg=dict(type='BN'))
# Minutes are too short to learn small things by their share of the pixels: weights of
# about its inverse square root, and more weight on what is still wrong.
class_weight = [.6, 1.6, .7, 2.5, 3., 3., 5., 5., 1., 3., 1., 3., 5., 1.6, 3., 3., 3.,
                5., 5.]
model['decode_head']['loss_decode'] = dict(
    type='OhemCrossEntropy', thres=0.7, min_kept=25000, class_weight=class_weight)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(512, 256), ratio_range=(0.8, 1.4),
         keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(
    data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, num_workers=1, persistent_workers=False,
                      dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=_base_.iterations, max_keep_ckpts=1))
