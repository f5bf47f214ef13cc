_base_ = './tiny.py'
custom_imports = dict(imports=['ddp_perception', 'tests.cli.tiny', 'tests.cli.normed'],
                      allow_failed_imports=False)
model = dict(type='NormedModel')
train_dataloader = dict(batch_size=3)
train_cfg = dict(max_epochs=2, val_interval=1)
