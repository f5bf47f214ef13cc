# A training of minutes on one CPU core.
_base_ = '../../../_base_/cpu_minutes.py'

iterations = 400
warm_up = iterations // 20
lr = 1e-3
train_cfg = dict(max_iters=iterations, val_interval=iterations)
optim_wrapper = dict(
    optimizer=dict(lr=lr),
    # The backbone is trained already.
    paramwise_cfg=dict(norm_decay_mult=0., custom_keys=dict(
        backbone=dict(lr_mult=0.3))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=warm_up, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0., begin=warm_up, end=iterations,
         by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=4)
