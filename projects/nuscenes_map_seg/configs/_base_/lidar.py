# Ten LiDAR sweeps to a BEV map: sparse voxel encoder (spconv, GPU).
voxelize = dict(
    max_num_points=10, voxel_size=[0.1, 0.1, 0.2], max_voxels=[90000, 120000],
    point_cloud_range=[-51.2, -51.2, -5., 51.2, 51.2, 3.], voxelize_reduce=True)
lidar_bev = dict(
    pts_voxel_encoder=dict(type='HardSimpleVFE', num_features=5),
    pts_middle_encoder=dict(
        type='ddp.BEVFusionSparseEncoder', in_channels=5, sparse_shape=[1024, 1024, 41],
        order=('conv', 'norm', 'act'),
        norm_cfg=dict(type='BN1d', eps=1e-3, momentum=0.01),
        base_channels=16, output_channels=128,
        encoder_channels=((16, 16, 32), (32, 32, 64), (64, 64, 128), (128, 128)),
        encoder_paddings=((0, 0, 1), (0, 0, 1), (0, 0, (1, 1, 0)), (0, 0)),
        block_type='basicblock'))
second_fpn = dict(
    pts_backbone=dict(
        type='SECOND', in_channels=256, out_channels=[128, 256], layer_nums=[5, 5],
        layer_strides=[1, 2], norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01),
        conv_cfg=dict(type='Conv2d', bias=False)),
    pts_neck=dict(
        type='SECONDFPN', in_channels=[128, 256], out_channels=[256, 256],
        upsample_strides=[1, 2], norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01),
        upsample_cfg=dict(type='deconv', bias=False), use_conv_for_no_stride=True))
