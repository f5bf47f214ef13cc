# A training of minutes on two CPU cores.
iterations = 400
lr = 2e-3
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations,
                 val_interval=iterations)
optim_wrapper = dict(type='OptimWrapper', clip_grad=dict(max_norm=35, norm_type=2),
                     optimizer=dict(type='AdamW', lr=lr, weight_decay=0.01))
param_scheduler = dict(type='OneCycleLR', eta_max=lr, total_steps=iterations,
                       pct_start=0.2, by_epoch=False)
