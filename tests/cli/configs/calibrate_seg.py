# What images_seg.py needs to be tested with calibration figures; trained on the
# same images.
_base_ = './images_seg.py'
train_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CityscapesDataset', data_root='no/where',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                  dict(type='RandomCrop', crop_size=(16, 16)),
                  dict(type='PackSegInputs')],
        metainfo=dict(classes=('road', 'person', 'car')),
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val')))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
test_evaluator = [dict(type='IoUMetric'), dict(type='ddp.CalibrationMetric')]
val_evaluator = test_evaluator
