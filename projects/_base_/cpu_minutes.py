# A training of minutes on two CPU cores.
iterations = 620
lr = 3e-3
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations,
                 val_interval=iterations)
optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(max_norm=35, norm_type=2),
                     optimizer=dict(type='AdamW', lr=lr, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=iterations // 10,
         by_epoch=False),
    dict(type='CosineAnnealingLR', begin=iterations // 10, end=iterations,
         T_max=iterations - iterations // 10, eta_min=lr * 1e-2, by_epoch=False)]
