# The published recipe: 8 GPUs x 4 frames, 20 epochs, AdamW, cyclic learning
# rate and momentum, mixed precision.
epochs = 20
lr = 5e-5

train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    type='AmpOptimWrapper', loss_scale='dynamic',
    optimizer=dict(type='AdamW', lr=lr, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(
        absolute_pos_embed=dict(decay_mult=0.),
        relative_position_bias_table=dict(decay_mult=0.))),
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(type='CosineAnnealingLR', begin=0, end=8, T_max=8, eta_min_ratio=10,
         by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=8, end=epochs, T_max=epochs - 8,
         eta_min_ratio=1e-4, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingMomentum', begin=0, end=8, T_max=8, eta_min=0.85 / 0.95,
         by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingMomentum', begin=8, end=epochs, T_max=epochs - 8,
         eta_min=1, by_epoch=True, convert_to_iter_based=True)]
auto_scale_lr = dict(enable=False, base_batch_size=32)
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='nccl'),
               mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='ddp.CheckpointHook', interval=1, max_keep_ckpts=3,
                    save_best='map/mean/iou@max', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [dict(type='ddp.BroadcastBuffersHook')]
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
visualizer = dict(type='Det3DLocalVisualizer', name='visualizer',
                  vis_backends=[dict(type='LocalVisBackend')])
log_level = 'INFO'
load_from = None
resume = False
