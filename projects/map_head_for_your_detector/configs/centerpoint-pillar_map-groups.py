# Start from a trained detector; the new head learns ten times faster than it.
_base_ = './centerpoint-pillar_map.py'

model = dict(detector_weight=0.5, seg_head=dict(loss=dict(loss_weight=2.)))
load_from = 'work_dirs/my_centerpoint/epoch_20.pth'
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(
    detector=dict(lr_mult=0.1), seg_head=dict(lr_mult=1.))))
