# What images_flip.py needs to be tested.
_base_ = './images_flip.py'
val_dataloader = None
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='IoUMetric')
