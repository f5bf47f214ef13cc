# Diffusion head whose seeds are maps that may be true, each as a whole.
_base_ = './ddp_3step_osm-drivable_cpu.py'

model = dict(seg_head=dict(
    loss=dict(type='ddp.EnergyScore'), keep_seeds=True,
    diffusion=dict(scale=1., noise='pink', recipe='samples'),
    sampler=dict(num_seeds=4, num_steps=10, method='ddpm')))
