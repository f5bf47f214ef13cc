_base_ = './normed.py'
train_dataloader = dict(sampler=dict(type='InfiniteSampler'))
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=6, val_interval=3)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=3),
                     logger=dict(log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type='EMAHook')]
