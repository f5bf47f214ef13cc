# The same with the same decoder, but for the noisy map: one pass and no diffusion.
_base_ = './ddp_efflite0_drive_cpu.py'

model = dict(decode_head=dict(diffusion=dict(noisy_map=False),
                              sampler=dict(num_steps=1)))
