# The head, its loss, and the FCN head that supervises the neck in training.
num_classes = 11
# The inverse square root of each class's share of the training pixels, 1 on the mean
# over pixels: the hour is too short to learn poles and bicyclists by their share.
loss = dict(
    type='ddp.ClassWeightedCrossEntropy',
    class_weight=[.9, .75, 3.7, .65, 1.7, 1.2, 3.4, 3.4, 1.5, 4.6, 6.8])
fcn = dict(
    type='FCNHead', in_channels=64, in_index=0, channels=64, concat_input=False,
    dropout_ratio=0.1, num_classes=num_classes, align_corners=False,
    norm_cfg=dict(type='BN'))
auxiliary = dict(**fcn, num_convs=1, loss_decode=dict(loss, loss_weight=0.4))
