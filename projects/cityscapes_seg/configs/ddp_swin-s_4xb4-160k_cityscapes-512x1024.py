_base_ = './ddp_swin-t_4xb4-160k_cityscapes-512x1024.py'

model = dict(backbone=dict(depths=[2, 2, 18, 2], init_cfg=dict(
    checkpoint=_base_.weights + 'swin_small_patch4_window7_224.pth')))
