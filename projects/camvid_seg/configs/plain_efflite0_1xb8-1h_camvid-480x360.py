# The same decoder without a noisy map: what diffusion adds, and nothing else.
_base_ = './ddp_efflite0_1xb8-1h_camvid-480x360.py'

model = dict(decode_head=dict(
    diffusion=dict(_delete_=True, noisy_map=False), sampler=dict(num_steps=1)))
