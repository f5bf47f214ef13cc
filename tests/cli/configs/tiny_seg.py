# A Swin of two channels per head and the segmentation head, for conversions.
custom_imports = dict(imports=['ddp_perception'], allow_failed_imports=False)
default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor'),
    backbone=dict(type='mmdet.SwinTransformer', embed_dims=4, depths=[1, 1, 1, 1],
                  num_heads=[1, 2, 2, 2], out_indices=[0, 1, 2, 3]),
    neck=[dict(type='mmdet.FPN', in_channels=[4, 8, 16, 32], out_channels=8,
               num_outs=4, act_cfg=None),
          dict(type='ddp.MultiStageMerging', in_channels=[8] * 4, out_channels=8)],
    decode_head=dict(type='ddp.SegHead', in_channels=8, in_index=0, num_classes=3,
                     decoder=dict(channels=8, num_layers=1, num_heads=2)),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
