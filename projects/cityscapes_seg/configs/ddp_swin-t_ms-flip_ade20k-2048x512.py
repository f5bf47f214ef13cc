# Tests the model at six scales, mirrored and not, as published: mmseg's SegTTAModel
# applies its softmax to probabilities. ddp.SegTTAModel averages them as they are.
_base_ = './ddp_swin-t_8xb2-160k_ade20k-512x512.py'

model = dict(_delete_=True, type='SegTTAModel', module=_base_.model)
test_dataloader = dict(dataset=dict(pipeline=_base_.tta_pipeline))
