# Predicts three of Cityscapes' classes; the data set itself is nowhere.
_base_ = './tiny_seg.py'
model = dict(data_preprocessor=dict(mean=[120.] * 3, std=[60.] * 3, bgr_to_rgb=True))
pipeline = [dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(64, 32), keep_ratio=True),
            dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
dataset = dict(
    type='CityscapesDataset', data_root='no/where', pipeline=pipeline, test_mode=True,
    metainfo=dict(classes=('road', 'person', 'car')),
    data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'))
val_dataloader = dict(batch_size=1, num_workers=0, dataset=dataset,
                      sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
