# Self-aligned denoising: 5k more iterations of the trained model, on its own
# noised predictions.
_base_ = './ddp_convnext-t_4xb4-160k_cityscapes-512x1024.py'

iterations = 5000
load_from = ('work_dirs/ddp_convnext-t_4xb4-160k_cityscapes-512x1024/'
             'iter_160000.pth')
model = dict(decode_head=dict(diffusion=dict(self_aligned=True),
                              sampler=dict(num_steps=10)))
train_cfg = dict(max_iters=iterations, val_interval=500)
optim_wrapper = dict(optimizer=dict(lr=6e-6))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1., eta_min=0., begin=0, end=iterations, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=500))
