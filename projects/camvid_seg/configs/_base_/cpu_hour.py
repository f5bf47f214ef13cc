# A training of just under an hour on two CPU cores.
iterations = 2200
lr = 1e-3
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations,
                 val_interval=iterations)
optim_wrapper = dict(
    type='OptimWrapper', clip_grad=dict(max_norm=35, norm_type=2),
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.01),
    # The backbone is trained already.
    paramwise_cfg=dict(norm_decay_mult=0., custom_keys=dict(
        backbone=dict(lr_mult=0.3))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=iterations // 20,
         by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0., begin=iterations // 20, end=iterations,
         by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=8)
