# ddp.BEVFusion has both heads natively: here with CenterPoint's parts. A config of
# mmdet3d's projects/BEVFusion changes less, see the README.
_base_ = './centerpoint-voxel_map.py'
parts = _base_.model.detector

model = dict(
    _delete_=True, type='ddp.BEVFusion',
    data_preprocessor=dict(
        type='Det3DDataPreprocessor',
        voxelize_cfg=dict(voxelize_reduce=True, **{
            key: parts.data_preprocessor.voxel_layer[key] for key in (
                'max_num_points', 'voxel_size', 'max_voxels', 'point_cloud_range')})),
    pts_voxel_encoder=parts.pts_voxel_encoder,
    pts_middle_encoder=parts.pts_middle_encoder,
    pts_backbone=parts.pts_backbone, pts_neck=parts.pts_neck,
    bbox_head=parts.pts_bbox_head, bbox_axes='yx',
    train_cfg=parts.train_cfg.pts, test_cfg=parts.test_cfg.pts,
    seg_head=dict(type='ddp.MapSegHead'))
