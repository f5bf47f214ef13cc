# The discriminative baseline: BEVFusion's convolutional head on the same features.
_base_ = './ddp_cam_3step_8xb4-20e_nus-map.py'

model = dict(seg_head=dict(
    _delete_=True, type='ddp.ConvMapHead', classes={{_base_.map_classes}},
    output_grid={{_base_.map_grid}}, hidden_channels=512))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
