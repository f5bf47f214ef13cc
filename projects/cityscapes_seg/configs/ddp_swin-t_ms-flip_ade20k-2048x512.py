# Tests the model at six scales, mirrored and not, as published: the framework's
# softmax is applied to probabilities. Without `probabilities_as_logits` the average
# is one of the probabilities themselves.
_base_ = './ddp_swin-t_8xb2-160k_ade20k-512x512.py'

model = dict(_delete_=True, type='SegTTAModel', module=dict(
    _base_.model, decode_head=dict(_base_.model.decode_head,
                                   probabilities_as_logits=True)))
test_dataloader = dict(dataset=dict(pipeline=_base_.tta_pipeline))
