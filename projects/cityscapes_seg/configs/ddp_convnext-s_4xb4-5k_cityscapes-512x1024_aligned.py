_base_ = './ddp_convnext-t_4xb4-5k_cityscapes-512x1024_aligned.py'

load_from = ('work_dirs/ddp_convnext-s_4xb4-160k_cityscapes-512x1024/'
             'iter_160000.pth')
model = dict(backbone=dict(model_name='convnext_small.fb_in1k', drop_path_rate=0.3))
