# The same model, trained on three steps of its own sampling, with gradients through
# the maps between.
_base_ = './ddp_convnext-t_4xb4-160k_cityscapes-512x1024.py'

model = dict(decode_head=dict(
    diffusion=dict(scale=1., recipe='rollout', feedback='expected')))
