# The demo's model on one real frame of 1242 x 375 pixels, learnt by heart: shows in
# minutes on a CPU that data, loss and head fit together.
_base_ = './demo_kitti_cpu.py'

data_root = 'data/one_kitti_frame/'
kb_crop = (352, 1216)
crop_size = (352, 608)
iterations = 200
lr = 3e-3
model = dict(data_preprocessor=dict(size=crop_size),
             test_cfg=dict(crop_size=kb_crop, stride=kb_crop))

load = [dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
        dict(type='ddp.KBCrop')]
train_dataloader = dict(batch_size=1, dataset=dict(
    data_root=data_root, ann_file='frame.txt', pipeline=[
        *load, dict(type='ddp.DepthRandomCrop', crop_size=crop_size), _base_.pack]))
val_dataloader = dict(batch_size=1, dataset=dict(
    data_root=data_root, ann_file='frame.txt', pipeline=[*load, _base_.pack]))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=20, end=iterations, T_max=iterations - 20,
         eta_min=lr * 1e-2, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=iterations))
