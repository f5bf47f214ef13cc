_base_ = './ddp_swin-t_8xb2-160k_ade20k-512x512.py'

model = dict(backbone=dict(depths=[2, 2, 18, 2], init_cfg=dict(
    checkpoint=_base_.weights + 'swin_small_patch4_window7_224.pth')))
