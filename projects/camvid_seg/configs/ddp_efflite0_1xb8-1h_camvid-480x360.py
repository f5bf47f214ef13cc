# EfficientNet-Lite0 with the diffusion head on CamVid, on two CPU cores.
_base_ = ['../../_base_/runtime_iters.py',
          '../../_base_/efficientnet_lite0_pyramid.py', './_base_/seg_heads.py',
          './_base_/camvid.py', './_base_/cpu_hour.py']

model = dict(
    type='ddp.EncoderDecoder', **_base_.pyramid,
    decode_head=dict(
        type='ddp.SegHead', in_channels=64, in_index=0, num_classes=_base_.num_classes,
        decoder=dict(channels=64, num_layers=2, num_heads=4,
                     feedforward_channels=128),
        diffusion=dict(scale=1., recipe='on_policy'),
        sampler=dict(num_steps=3), loss_decode=_base_.loss),
    auxiliary_head=_base_.auxiliary, train_cfg=dict(), test_cfg=dict(mode='whole'))
model['data_preprocessor']['size'] = _base_.crop_size
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=100, max_keep_ckpts=1))
