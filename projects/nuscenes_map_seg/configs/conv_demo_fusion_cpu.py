# The demo's model with the convolutional head.
_base_ = ['./demo_fusion_cpu.py']

model = dict(seg_head=dict(
    _delete_=True, type='ddp.ConvMapHead', classes={{_base_.classes}},
    output_grid={{_base_.map_grid}}, hidden_channels=48))
val_evaluator = dict(_delete_=True, type='ddp.MapIoUMetric')
test_evaluator = val_evaluator
