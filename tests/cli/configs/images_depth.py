# Depth on a crop of 32 x 64 pixels.
_base_ = './images_seg.py'
model = dict(
    type='ddp.DepthEstimator', decode_head=dict(
        _delete_=True, type='ddp.DepthHead', in_channels=8, in_index=0,
        min_depth=0.5, max_depth=60.,
        decoder=dict(channels=8, num_layers=1, num_heads=2)),
    test_cfg=dict(mode='slide_flip', crop_size=(32, 64), stride=(32, 64)))
pipeline = [dict(type='LoadImageFromFile'), dict(type='ddp.LoadKITTIDepth'),
            dict(type='ddp.KBCrop', height=32, width=64), dict(type='PackSegInputs')]
test_dataloader = dict(dataset=dict(
    _delete_=True, type='ddp.KITTIDepthDataset', data_root='no/where',
    ann_file='split.txt', test_mode=True, pipeline=pipeline))
