# The discriminative baseline: BEVFusion's convolutional head on the same features.
_base_ = './ddp_cam_3step_8xb4-20e_nus-map.py'

model = dict(seg_head=dict(
    _delete_=True, type='ddp.ConvMapHead', in_channels=256,
    classes={{_base_.map_classes}},
    input_scope=[[-51.2, 51.2, 0.8], [-51.2, 51.2, 0.8]],
    output_scope={{_base_.map_scope}}, channels=512, loss='focal'))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
