_base_ = './ddp_swin-t_8xb2-38k_kitti-352x704.py'

model = dict(backbone=dict(depths=[2, 2, 18, 2], init_cfg=dict(
    checkpoint=_base_.weights + 'swin_small_patch4_window7_224.pth')))
