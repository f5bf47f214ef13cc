# Convolutional head, trained as long as the diffusion head on the same encoder.
_base_ = './_base_/osm_drivable.py'

model = dict(seg_head=dict(
    type='ddp.ConvMapHead', classes=['drivable_area'], hidden_channels=32))
