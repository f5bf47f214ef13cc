# Tests the model at six scales, mirrored and not: SegTTAModel averages the softmax.
_base_ = './ddp_convnext-l_4xb4-160k_cityscapes-512x1024.py'

model = dict(_delete_=True, type='SegTTAModel', module=_base_.model)
test_dataloader = dict(dataset=dict(pipeline=_base_.tta_pipeline))
