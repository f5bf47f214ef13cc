# Drivable area from OpenStreetMap's roads: data, augmentation, metric, encoder and a
# training of minutes on two CPU cores. Cities of the test are not seen in training.
_base_ = ['../../../_base_/runtime_iters.py', '../../../_base_/cpu_minutes.py']

data_root = 'data/nuscenes_drivable/'
train_cities = ['boston-seaport', 'singapore-onenorth']
test_cities = ['singapore-queenstown']

model = dict(
    type='ddp.MapPriorSegmentor',
    encoder=dict(type='ddp.BEVUNet', in_channels=3, out_channels=48))

pack = dict(type='ddp.PackMapPrior')
train_pipeline = [dict(type='ddp.FlipMapPrior', prob=0.5),
                  dict(type='ddp.RotateMapPrior', angles=[0, 90, 180, 270]),
                  dict(type='ddp.DropPriorChannels', prob=0.1), pack]
train_dataloader = dict(
    batch_size=8, num_workers=1, persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='ddp.DrivableMapDataset', data_root=data_root,
                 cities=train_cities, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ddp.DrivableMapDataset', data_root=data_root,
                 cities=test_cities, pipeline=[pack], test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='ddp.MapIoUMetric')  # its classes are the data set's
test_evaluator = val_evaluator

env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(backend='gloo'))
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=_base_.iterations, max_keep_ckpts=1))
