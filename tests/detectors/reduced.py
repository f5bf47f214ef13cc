"""The project's configurations, made small enough for a CPU."""
from pathlib import Path

import torch
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from ddp_perception.compat import patch_spconv_cpu
from ddp_perception.registry import MODELS

CONFIGS = (Path(__file__).resolve().parents[2]
           / 'projects/map_head_for_your_detector/configs')
FAMILIES = ('centerpoint-pillar', 'centerpoint-voxel', 'pointpillars-secfpn',
            'pointpillars-fpn')
NATIVE = 'bevfusion-lidar'
MAP_CELLS = (40, 28)
"""Of the small map: x from -50 to 50 and y from -35 to 35 in 2.5 m."""
MAP_GRID = ((-50., 50., 2.5), (-35., 35., 2.5))
SMALL_HEAD = dict(
    output_grid=MAP_GRID, sampler=dict(num_steps=2), decoder=dict(
        channels=32, num_layers=1, num_heads=4, num_points=2,
        feedforward_channels=32))


def settings(family):
    """Small settings: fewer voxels along y than along x, fewer channels.

    Everything that follows from the voxels is changed consistently, as a user
    would have to.
    """
    init_default_scope('mmdet3d')
    patch_spconv_cpu()
    # BEVFusion is built of the voxel model's parts.
    cfg = Config.fromfile(CONFIGS / f'{family}_map.py')
    model = cfg.model
    native = family == NATIVE
    detector = model if native else model.detector
    if family.startswith('pointpillars'):
        region, voxel, grid = [-50., -37.5, -5., 50., 37.5, 3.], .78125, (128, 96)
        _anchors(detector, region)
    else:
        region = [-51.2, -38.4, -5., 51.2, 38.4, 3.]
        voxel, grid = (.8, (128, 96)) if 'pillar' in family else (.4, (256, 192))
    height = .2 if native or family.endswith('voxel') else 8.
    size = [voxel, voxel, height]
    layer = (detector.data_preprocessor.voxelize_cfg if native else
             detector.data_preprocessor.voxel_layer)
    layer.update(voxel_size=size, point_cloud_range=region, max_voxels=(4000, 4000))
    if height == 8:
        detector.pts_voxel_encoder.update(
            feat_channels=[16], voxel_size=size, point_cloud_range=region)
        detector.pts_middle_encoder.update(in_channels=16, output_shape=grid[::-1])
        first = 16
    else:
        detector.pts_middle_encoder.update(
            sparse_shape=[41, *grid[::-1]], base_channels=4, output_channels=8,
            encoder_channels=((4, 4, 6), (6, 6, 6), (6, 6, 8), (8, 8)))
        first = 16
    levels = len(detector.pts_backbone.out_channels)
    detector.pts_backbone.update(in_channels=first, out_channels=[16] * levels,
                                 layer_nums=[1] * levels)
    merged = family != 'pointpillars-fpn'
    detector.pts_neck.update(in_channels=[16] * levels,
                             out_channels=[16] * levels if merged else 16)
    features = 16 * levels if merged else 16
    head = detector.bbox_head if native else detector.pts_bbox_head
    head.in_channels = features
    if 'pointpillars' in family:
        head.feat_channels = features
        # nuscenes-devkit evaluates no file without any box.
        detector.test_cfg.pts.update(nms_pre=50, score_thr=0.)
    else:
        _center_head(detector, head, native, region, size, grid)
    model.seg_head.update(SMALL_HEAD)
    return cfg


def _anchors(detector, region):
    generator = detector.pts_bbox_head.anchor_generator
    generator.ranges = [[region[0], region[1], low[2], region[3], region[4], low[2]]
                        for low in generator.ranges]


def _center_head(detector, head, native, region, size, grid):
    head.share_conv_channel = 16
    changes = dict(voxel_size=size, point_cloud_range=region,
                   grid_size=[*grid, 1 if size[2] == 8 else 40])
    test = dict(voxel_size=size[:2], pc_range=region[:2])
    head.bbox_coder.update(test)
    (detector.train_cfg if native else detector.train_cfg.pts).update(changes)
    (detector.test_cfg if native else detector.test_cfg.pts).update(
        test, pre_max_size=50, post_max_size=20)


def build(family, **changes):
    """Build a small model, always with the same random weights."""
    cfg = settings(family)
    cfg.model.update(changes)
    return build_model(cfg.model)


def build_model(model):
    """Build with the same random weights every time."""
    torch.manual_seed(0)
    return MODELS.build(model)


def batch(model, seed=0, count=2):
    """Inputs and samples of random points, boxes and masks, preprocessed."""
    draw = torch.Generator().manual_seed(seed)
    points, samples = [], []
    encoder = getattr(model, 'detector', model).pts_voxel_encoder
    four = getattr(encoder, 'in_channels', 5) == 10  # HardVFE of 4, decorated
    for index in range(count):
        spread = torch.tensor([60., 50, 3, 1, .3])
        cloud = (torch.rand(3000, 5, generator=draw) - .5) * spread * 1.2
        centres = (torch.rand(6, 2, generator=draw) - .5) * 40
        boxes = torch.cat([centres, torch.tensor([[-1., 4.5, 2, 1.6, .4, 1, -2]])
                           .expand(6, -1)], 1)
        sample = Det3DDataSample(metainfo=dict(
            token=str(index), box_type_3d=LiDARInstance3DBoxes, sample_idx=index))
        sample.gt_instances_3d = InstanceData(
            bboxes_3d=LiDARInstance3DBoxes(boxes, box_dim=9),
            labels_3d=torch.tensor([0, 0, 1, 3, 8, 9]))
        sample.gt_map_seg = PixelData(data=(torch.rand(
            6, *MAP_CELLS, generator=draw) > .6).to(torch.uint8))
        # PointPillars takes x, y, z and time.
        points.append(cloud[:, [0, 1, 2, 4]] if four else cloud)
        samples.append(sample)
    data = model.data_preprocessor(dict(inputs=dict(points=points),
                                        data_samples=samples), training=True)
    return data['inputs'], data['data_samples']
