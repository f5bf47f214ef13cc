# What images_depth.py needs to be tested.
_base_ = './images_depth.py'
pipeline = [*_base_.pipeline[:-1], dict(type='PackSegInputs', meta_keys=(
    'img_path', 'ori_shape', 'img_shape', 'pad_shape', 'flip', 'kb_crop'))]
val_dataloader = None
test_dataloader = dict(dataset=dict(pipeline=pipeline))
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='ddp.KITTIDepthMetric', max_depth=60.)
