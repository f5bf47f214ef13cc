_base_ = './ddp_swin-t_4xb4-160k_cityscapes-512x1024.py'

model = dict(
    backbone=dict(
        embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32],
        init_cfg=dict(checkpoint=_base_.weights + 'swin_base_patch4_window7_224.pth')),
    neck=[dict(_base_.fpn, in_channels=[128, 256, 512, 1024]), _base_.merging])
