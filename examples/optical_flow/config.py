# Flow between two frames that trains on two CPU cores in minutes.
_base_ = ['../../projects/_base_/runtime_iters.py',
          '../../projects/_base_/narrow_resnet_pyramid.py',
          '../../projects/_base_/cpu_minutes.py']
custom_imports = dict(imports=['ddp_perception', 'optical_flow.task'],
                      allow_failed_imports=False)
data_root = 'data/optical_flow/'
size = (96, 256)

model = dict(type='ddp.DenseEstimator', **_base_.pyramid, decode_head=dict(
    type='ddp.FlowHead', in_channels=48,
    decoder=dict(channels=48, num_layers=2, num_heads=4), sampler=dict(num_steps=3)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
model['data_preprocessor'].update(  # both frames in RGB
    size=size, mean=[123.675, 116.28, 103.53] * 2, std=[58.395, 57.12, 57.375] * 2,
    bgr_to_rgb=False)
model['backbone']['model_options'].update(in_chans=6)

train_dataloader = dict(
    batch_size=8, num_workers=1, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='ddp.FlowPairs', data_root=data_root, data_prefix=dict(img_path='train'),
        pipeline=[dict(type='ddp.LoadFlowPair'),
                  dict(type='ddp.PackDenseInputs')]))
val_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='ddp.FlowPairs', data_root=data_root, data_prefix=dict(img_path='val'),
        test_mode=True,
        pipeline=[dict(type='ddp.LoadFlowPair'), dict(type='ddp.PackDenseInputs')]))
test_dataloader = val_dataloader
val_evaluator = dict(type='ddp.EndPointError')
test_evaluator = val_evaluator

iterations = _base_.iterations
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(logger=dict(interval=20),
                     checkpoint=dict(interval=iterations, max_keep_ckpts=1))
