# EfficientNet-Lite0 with the diffusion head on one KITTI drive, in minutes on a CPU.
_base_ = ['../../_base_/runtime_iters.py',
          '../../_base_/efficientnet_lite0_pyramid.py', './_base_/depth_head.py',
          './_base_/drive.py', './_base_/drive_minutes.py']

model = dict(type='ddp.DepthEstimator', **_base_.pyramid, **_base_.head)
model['data_preprocessor'].update(size=_base_.crop_size, seg_pad_val=0)
model['decode_head'].update(
    in_channels=64, scale_up=True,
    decoder=dict(channels=64, num_layers=2, num_heads=4, feedforward_channels=128))
model['test_cfg'].update(crop_size=(176, 608), stride=(176, 608))
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=100, max_keep_ckpts=1))
