# The published recipe: 38.4k iterations of 16 crops, AdamW, cosine with long warm-up.
iterations = 38400
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=800)
optim_wrapper = dict(
    type='OptimWrapper', clip_grad=dict(max_norm=35, norm_type=2),
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(
        norm=dict(decay_mult=0.), absolute_pos_embed=dict(decay_mult=0.),
        relative_position_bias_table=dict(decay_mult=0.))))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=12800, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-8, begin=0, end=iterations,
         T_max=iterations, by_epoch=False)]
auto_scale_lr = dict(enable=False, base_batch_size=16)
