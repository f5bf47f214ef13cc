# Starts from ImageNet-22k weights, as published.
_base_ = './ddp_swin-t_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        embed_dims=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48], window_size=12,
        pretrain_img_size=384, init_cfg=dict(
            checkpoint=_base_.weights + 'swin_large_patch4_window12_384_22k.pth')),
    neck=[dict(_base_.fpn, in_channels=[192, 384, 768, 1536]), _base_.merging])
