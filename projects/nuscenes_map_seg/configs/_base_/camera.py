# Six cameras to a BEV map: Swin-T (ImageNet-1k weights), FPN, Lift-Splat.
weights = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
camera_bev = dict(
    img_backbone=dict(
        type='mmdet.SwinTransformer', embed_dims=96, depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24], window_size=7, mlp_ratio=4, qkv_bias=True,
        drop_path_rate=0.2, patch_norm=True, out_indices=[1, 2, 3],
        convert_weights=True, init_cfg=dict(
            type='Pretrained',
            checkpoint=weights + 'swin_tiny_patch4_window7_224.pth')),
    img_neck=dict(
        type='ddp.GeneralizedLSSFPN', in_channels=[192, 384, 768], out_channels=256,
        start_level=0, num_outs=3, norm_cfg=dict(type='BN2d', requires_grad=True),
        act_cfg=dict(type='ReLU', inplace=True),
        upsample_cfg=dict(mode='bilinear', align_corners=False)),
    view_transform=dict(
        type='ddp.LSSTransform', in_channels=256, out_channels=80,
        image_size=[256, 704], feature_size=[32, 88], xbound=[-51.2, 51.2, 0.4],
        ybound=[-51.2, 51.2, 0.4], zbound=[-10., 10., 20.], dbound=[1., 60., 0.5],
        downsample=2))
