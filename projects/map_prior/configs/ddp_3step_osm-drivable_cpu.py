# Diffusion head.
_base_ = './_base_/osm_drivable.py'

model = dict(seg_head=dict(
    type='ddp.MapSegHead', classes=['drivable_area'],
    decoder_grid=((-50., 50., 1.), (-50., 50., 1.)),
    decoder=dict(channels=48, num_layers=2, num_heads=4, num_points=2,
                 feedforward_channels=96),
    sampler=dict(num_steps=3)))
