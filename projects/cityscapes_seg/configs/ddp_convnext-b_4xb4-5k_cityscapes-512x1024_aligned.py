_base_ = './ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned.py'

load_from = ('work_dirs/ddp_convnext-b_4xb4-160k_cityscapes-512x1024/'
             'iter_160000.pth')
model = dict(
    backbone=dict(model_name='convnext_base.fb_in1k'),
    neck=[dict(_base_.fpn, in_channels=[128, 256, 512, 1024]), _base_.merging])
