# The demo's model on one real frame of 1242 x 375 pixels, learnt by heart: shows in
# minutes on a CPU that data, loss and head fit together.
_base_ = './demo_kitti_cpu.py'

data_root = 'data/one_kitti_frame/'
kb_crop = crop_size = (256, 1216)  # all that the LiDAR reaches
iterations = 480
lr = 4e-3
model = dict(data_preprocessor=dict(size=crop_size),
             test_cfg=dict(_delete_=True, mode='whole'))  # no mirror image is learnt

load = [dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
        dict(type='ddp.KBCrop', height=kb_crop[0], width=kb_crop[1])]
train_dataloader = dict(batch_size=1, dataset=dict(
    data_root=data_root, ann_file='frame.txt', pipeline=[*load, _base_.pack]))
val_dataloader = dict(batch_size=1, dataset=dict(
    data_root=data_root, ann_file='frame.txt', pipeline=[*load, _base_.pack]))
test_dataloader = val_dataloader
test_evaluator = val_evaluator = dict(crop=None)  # every return counts
train_cfg = dict(max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=20, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=240, end=iterations, T_max=iterations - 240,
         eta_min=lr * 1e-2, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=iterations))
