# Swin-T on ADE20K: the published model. Averages the probabilities of all steps.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/swin_pyramid.py',
          './_base_/seg_heads.py', './_base_/ade20k.py', './_base_/160k.py']

num_classes = 150
model = dict(type='ddp.EncoderDecoder', **_base_.pyramid, **_base_.heads)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head'].update(num_classes=num_classes,
                            sampler=dict(num_steps=3, average='all'))
model['auxiliary_head'].update(num_classes=num_classes)
optim_wrapper = dict(clip_grad=dict(max_norm=0.1, norm_type=2))
