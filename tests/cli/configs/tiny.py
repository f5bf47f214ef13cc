custom_imports = dict(imports=['ddp_perception', 'tests.cli.tiny'],
                      allow_failed_imports=False)
data_root = 'nowhere/tiny/'
model = dict(type='TinyModel', width=4)
dataset = dict(type='TinyDataset', data_root=data_root, ann_file='train.json')
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'), dataset=dataset)
test_dataloader = dict(
    batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='TinyDataset', data_root=data_root, ann_file='val.json'))
val_dataloader = dict(
    batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='QuietDataset', data_root=data_root, ann_file='val.json'))
val_evaluator = dict(type='TinyMetric')
val_cfg = dict()
test_evaluator = dict(type='TinyMetric')
test_cfg = dict()
train_cfg = dict(by_epoch=True, max_epochs=4, val_interval=100)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.05))
param_scheduler = [dict(type='ExponentialLR', gamma=0.9)]
custom_hooks = [dict(type='PullThePlug', epoch=-1)]
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1),
                     logger=dict(type='LoggerHook', interval=1))
