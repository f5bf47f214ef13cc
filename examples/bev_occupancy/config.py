# mmdet3d's CenterPoint with pillars, and the vehicles from above as a second head.
_base_ = ('../../projects/map_head_for_your_detector/configs/demo_joint_cpu.py')
custom_imports = dict(imports=['ddp_perception', 'bev_occupancy.task'],
                      allow_failed_imports=False)
grid = ((-51.2, 51.2, 0.8), (-51.2, 51.2, 0.8))
model = dict(seg_head=dict(
    _delete_=True, type='ddp.VehicleHead', output_grid=grid,
    decoder=dict(channels=48, num_layers=2, num_heads=4, num_points=2,
                 feedforward_channels=96),
    sampler=dict(num_steps=3)))

draw = [dict(type='ddp.DrawVehicles', grid=grid), dict(type='ddp.PackMapInputs')]
train_pipeline = _base_.train_pipeline[:-2] + draw
test_pipeline = _base_.test_pipeline[:-2] + draw
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='ddp.VehicleIoU')]
test_evaluator = val_evaluator
