# The same, counted in iterations; five make an epoch and a half.
_base_ = './tiny.py'
model = dict(type='NoisyModel')
train_dataloader = dict(sampler=dict(type='InfiniteSampler', shuffle=True))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=12,
                 val_interval=4)
param_scheduler = [dict(type='ExponentialLR', gamma=0.9, by_epoch=False)]
log_processor = dict(by_epoch=False)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=2, max_keep_ckpts=1,
                    save_best='mean_prediction', rule='greater'),
    logger=dict(log_metric_by_epoch=False))
