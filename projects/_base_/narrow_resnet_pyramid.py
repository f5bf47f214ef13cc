# A ResNet of 10 layers at half its width, without published weights, FPN, merged to
# one map of stride 4: small enough to train on two CPU cores in minutes.
norm_cfg = dict(type='GN', num_groups=8)
pyramid = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_val=0, seg_pad_val=255),
    backbone=dict(type='ddp.TimmBackbone', model_name='resnet10t',
                  out_indices=[1, 2, 3, 4], model_options=dict(
                      channels=(32, 64, 128, 256), stem_width=16)),
    neck=[dict(type='FPN', in_channels=[32, 64, 128, 256], out_channels=48, num_outs=4,
               norm_cfg=norm_cfg, act_cfg=None),
          dict(type='ddp.MultiStageMerging', in_channels=[48] * 4, out_channels=48,
               norm_cfg=norm_cfg)])
