# Self-aligned denoising: 5k more iterations of the trained model, on its own
# noised predictions, at a tenth of the learning rate.
_base_ = './ddp_swin-t_8xb2-38k_kitti-352x704.py'

iterations = 5000
load_from = 'work_dirs/ddp_swin-t_8xb2-38k_kitti-352x704/iter_38400.pth'
model = dict(decode_head=dict(diffusion=dict(self_aligned=True)))
train_cfg = dict(max_iters=iterations, val_interval=500)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1500, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-8, begin=0, end=iterations,
         T_max=iterations, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=500))
