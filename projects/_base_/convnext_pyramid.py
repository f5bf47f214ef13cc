# ConvNeXt-T (ImageNet-1k weights), FPN, merged to one map of stride 4.
norm_cfg = dict(type='GN', num_groups=32)
fpn = dict(type='FPN', in_channels=[96, 192, 384, 768], out_channels=256, num_outs=4,
           norm_cfg=norm_cfg, act_cfg=None)
merging = dict(type='ddp.MultiStageMerging', in_channels=[256] * 4, out_channels=256,
               norm_cfg=norm_cfg)
pyramid = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_val=0, seg_pad_val=255),
    backbone=dict(
        type='ddp.TimmBackbone', model_name='convnext_tiny.fb_in1k',
        out_indices=[0, 1, 2, 3], drop_path_rate=0.4, out_norms=True,
        downsample_eps=1e-5, pretrained=True),
    neck=[fpn, merging])
