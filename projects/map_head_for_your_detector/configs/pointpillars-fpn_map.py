_base_ = 'mmdet3d::pointpillars/pointpillars_hv_fpn_sbn-all_8xb4-2x_nus-3d.py'
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
custom_hooks = [dict(type='ddp.BroadcastBuffersHook')]
default_hooks = dict(checkpoint=dict(type='ddp.CheckpointHook'))

model = dict(_delete_=True, type='ddp.WithMapHead', detector=_base_.model,
             levels=0, seg_head=dict(type='ddp.MapSegHead'))

with_map = [dict(type='ddp.LoadMapMasks', map_root=_base_.data_root),
            dict(type='ddp.PackMapInputs')]
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[:-1] + with_map))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline[:-1] + with_map))
test_dataloader = val_dataloader

val_evaluator = [_base_.val_evaluator, dict(type='ddp.MapIoUMetric')]
test_evaluator = val_evaluator
