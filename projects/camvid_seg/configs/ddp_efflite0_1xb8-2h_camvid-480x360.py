# For twice as long, convolutions in the memory format that a CPU is quicker in.
_base_ = './ddp_efflite0_1xb8-1h_camvid-480x360.py'

iterations = 4600
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, begin=0, end=iterations // 20,
         by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0., begin=iterations // 20, end=iterations,
         by_epoch=False)]
custom_hooks = [dict(type='ddp.BroadcastBuffersHook'),
                dict(type='ddp.ChannelsLastHook')]
