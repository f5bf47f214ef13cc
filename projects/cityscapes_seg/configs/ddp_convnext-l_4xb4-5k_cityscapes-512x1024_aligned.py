_base_ = './ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned.py'

load_from = ('work_dirs/ddp_convnext-l_4xb4-160k_cityscapes-512x1024/'
             'iter_160000.pth')
model = dict(
    backbone=dict(model_name='convnext_large.fb_in22k'),
    neck=[dict(_base_.fpn, in_channels=[192, 384, 768, 1536]), _base_.merging])
