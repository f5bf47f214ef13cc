# The published recipe: 160k iterations of 16 crops, AdamW, linear decay.
iterations = 160000
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=16000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(
        norm=dict(decay_mult=0.), absolute_pos_embed=dict(decay_mult=0.),
        relative_position_bias_table=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1., eta_min=0., begin=0, end=iterations, by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=16)
