# Swin-T on KITTI: the published model, with layers that know the noise level and
# with truth shrunk by its valid returns.
_base_ = ['../../_base_/runtime_iters.py', '../../_base_/swin_pyramid.py',
          './_base_/depth_head.py', './_base_/kitti.py', './_base_/38k.py']

model = dict(type='ddp.DepthEstimator', **_base_.pyramid, **_base_.head)
model['data_preprocessor'].update(size=_base_.crop_size, seg_pad_val=0)
default_hooks = dict(checkpoint=dict(interval=1600, max_keep_ckpts=2,
                                     save_best='abs_rel', rule='less'))
