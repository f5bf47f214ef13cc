"""Whether the parts of a BEVFusion fit each other."""


def check_extent(detector):
    """Raise ValueError where the map head thinks of another extent or order.

    Args:
        detector (BEVFusion): with ``seg_head`` and all that comes before it.
    """
    grid = getattr(detector.seg_head, 'input_grid', None)
    if grid is None:
        return
    lifted = getattr(detector.view_transform, 'grid', None)
    if detector.with_lidar:
        region = detector.pts_voxel_layer.point_cloud_range
        source = 'point_cloud_range of voxelize_cfg'
        extent = (region[0], region[3], region[1], region[4])
    elif lifted is not None:
        source = 'xbound and ybound of view_transform'
        extent = (*lifted.xbound[:2], *lifted.ybound[:2])
    else:
        return
    claimed = (*grid.xbound[:2], *grid.ybound[:2])
    if any(abs(a - b) > 1e-4 for a, b in zip(extent, claimed)):
        raise ValueError(
            f'seg_head.input_scope spans {claimed} (x from, to, y from, to), but '
            f'{source} says {tuple(map(float, extent))}: the map would be shifted; '
            'correct seg_head.input_scope')
    if detector.seg_head.bev_axes != 'xy':
        raise ValueError("seg_head.bev_axes must be 'xy', because ddp.BEVFusion makes "
                         f'maps (B, C, X, Y), got {detector.seg_head.bev_axes!r}')


def check_parts(parts):
    """Raise ValueError for parts that cannot work together."""
    def given(*names):
        return [name for name in names if parts[name] is not None]

    camera = given('img_backbone', 'img_neck', 'view_transform')
    if camera and not {'img_backbone', 'view_transform'} <= set(camera):
        raise ValueError('a camera branch needs img_backbone and '
                         f'view_transform, got {camera} alone')
    lidar = given('pts_middle_encoder', 'voxelize_cfg')
    if given('pts_middle_encoder', 'pts_voxel_encoder') and len(lidar) < 2:
        raise ValueError('a LiDAR branch needs pts_middle_encoder and '
                         'voxelize_cfg (inside data_preprocessor), got '
                         f'{lidar} alone')
    branches = bool(camera) + bool(given('pts_middle_encoder'))
    if branches == 0:
        raise ValueError('BEVFusion needs a camera branch (img_backbone, '
                         'view_transform), a LiDAR branch (voxelize_cfg, '
                         'pts_middle_encoder) or both, got neither')
    if branches == 2 and parts['fusion_layer'] is None:
        raise ValueError('a model with camera and LiDAR needs a fusion_layer')
    if branches == 1 and parts['fusion_layer'] is not None:
        raise ValueError('a fusion_layer needs a camera and a LiDAR branch, '
                         f'got {camera or lidar} alone')
