# What images_seg.py needs to be tested.
_base_ = './images_seg.py'
val_dataloader = None
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='IoUMetric')
