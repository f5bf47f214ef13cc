"""Whether the parts of a BEVFusion fit each other."""
from collections.abc import Mapping


def check_parts(parts: Mapping[str, object]) -> None:
    """Raise ValueError for parts that cannot work together."""
    def given(*names: str) -> list[str]:
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
