# The published model has windows of 12, and starts from weights with windows of 7,
# whose position tables are interpolated.
_base_ = './ddp_swin-t_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], window_size=12,
        pretrain_img_size=384,
        init_cfg=dict(checkpoint=_base_.weights + 'swin_base_patch4_window7_224.pth')),
    neck=[dict(_base_.fpn, in_channels=[128, 256, 512, 1024]), _base_.merging])
