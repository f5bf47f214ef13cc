# ConvNeXt-T on Cityscapes: the published model.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/convnext_pyramid.py',
          './_base_/seg_heads.py', './_base_/cityscapes.py', './_base_/160k.py']

model = dict(type='ddp.EncoderDecoder', **_base_.pyramid, **_base_.heads)
model['data_preprocessor']['size'] = _base_.crop_size
