# Trained on three steps of its own sampling, with gradients through the maps between.
_base_ = './ddp_efflite0-s8_1xb8-1h_camvid-480x360.py'

model = dict(decode_head=dict(diffusion=dict(recipe='rollout', feedback='expected')))
