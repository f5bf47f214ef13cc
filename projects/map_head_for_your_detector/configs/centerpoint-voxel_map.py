_base_ = 'mmdet3d::centerpoint/centerpoint_voxel01_second_secfpn_8xb4-cyclic-20e_nus-3d.py'  # noqa: E501
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
custom_hooks = [dict(type='ddp.BroadcastBuffersHook')]
default_hooks = dict(checkpoint=dict(type='ddp.CheckpointHook'))

model = dict(_delete_=True, type='ddp.WithMapHead', detector=_base_.model,
             seg_head=dict(type='ddp.MapSegHead'))

with_map = [dict(type='ddp.LoadMapMasks', map_root=_base_.data_root),
            dict(type='ddp.PackMapInputs')]
train_dataloader = dict(dataset=dict(dataset=dict(
    pipeline=_base_.train_pipeline[:-1] + with_map)))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline[:-1] + with_map))
test_dataloader = val_dataloader

val_evaluator = [_base_.val_evaluator, dict(type='ddp.MapIoUMetric')]
test_evaluator = val_evaluator
