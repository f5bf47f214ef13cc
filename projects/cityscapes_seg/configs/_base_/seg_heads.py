# The diffusion head, and the FCN head that supervises the neck in training.
num_classes = 19
heads = dict(
    decode_head=dict(
        type='ddp.SegHead', in_channels=256, in_index=0, num_classes=num_classes,
        sampler=dict(num_steps=3), loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.,
            avg_non_ignore=False)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=256, in_index=0, channels=256, num_convs=1,
        concat_input=False, dropout_ratio=0.1, num_classes=num_classes,
        align_corners=False, norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4,
                         avg_non_ignore=False)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
