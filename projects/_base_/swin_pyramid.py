# Swin-T (ImageNet-1k weights), FPN, merged to one map of stride 4.
norm_cfg = dict(type='GN', num_groups=32)
weights = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
fpn = dict(type='FPN', in_channels=[96, 192, 384, 768], out_channels=256, num_outs=4,
           norm_cfg=norm_cfg, act_cfg=None)
merging = dict(type='ddp.MultiStageMerging', in_channels=[256] * 4, out_channels=256,
               norm_cfg=norm_cfg)
pyramid = dict(
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_val=0, seg_pad_val=255),
    backbone=dict(
        type='mmdet.SwinTransformer', embed_dims=96, depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24], window_size=7, mlp_ratio=4, qkv_bias=True,
        drop_path_rate=0.3, patch_norm=True, out_indices=[0, 1, 2, 3],
        convert_weights=True, init_cfg=dict(
            type='Pretrained',
            checkpoint=weights + 'swin_tiny_patch4_window7_224.pth')),
    neck=[fpn, merging])
