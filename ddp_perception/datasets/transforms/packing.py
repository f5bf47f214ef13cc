"""Pack samples for the models of mmdet3d and mmseg, with the truth of fields."""
from collections.abc import Sequence

import numpy as np
from mmdet3d.datasets.transforms import Pack3DDetInputs
from mmseg.datasets.transforms import PackSegInputs

from ddp_perception.registry import FIELDS, TRANSFORMS
from ddp_perception.wording import refused_copies

from ..lidar_frame import lidar_augmentation
from .map_masks import lidar2ego

MATRICES = ('cam2img', 'lidar2cam', 'cam2lidar', 'lidar2img', 'ori_cam2img',
            'ori_lidar2img', 'img_aug_matrix', 'lidar_aug_matrix')
"""Float32 in the packed sample: what the view transforms compute with."""

KEYS = ('img', 'points', 'gt_bboxes_3d', 'gt_labels_3d')
"""What a sample may hold beside the truth of dense fields."""

META_KEYS = MATRICES + (
    'ego2global', 'lidar2ego', 'sample_idx', 'token', 'timestamp',
    'map_location', 'scene_token', 'scene_name', 'num_views', 'camera_names',
    'img_path', 'lidar_path', 'lidar2sensor', 'ori_shape', 'img_shape', 'pad_shape',
    'num_pts_feats',
    'pcd_horizontal_flip', 'pcd_vertical_flip', 'pcd_rotation',
    'pcd_rotation_angle', 'pcd_scale_factor', 'pcd_trans',
    'transformation_3d_flow', 'flip', 'scale_factor', 'box_type_3d',
    'box_mode_3d')


@TRANSFORMS.register_module()
class PackMapInputs(Pack3DDetInputs):
    """Pack images, points, map masks and, where present, boxes.

    Args:
        keys: What to pack, out of the sources of the registered fields
            (gt_masks_bev of maps) and the keys of mmdet3d's Pack3DDetInputs;
            all by default. Absent ones are left out.
        meta_keys: What becomes metainfo. `lidar_aug_matrix` is that of
            `lidar_augmentation`, whoever augmented the points.

    Returns a dict with
        inputs: img (N, 3, H, W) in the dtype it was loaded in, points (n, c).
        data_samples: Det3DDataSample with the truth of each field:
            `gt_map_seg`, a PixelData whose data is uint8 (classes, X, Y).

    Where a step leaves ``<source>_aug``, the (4, 4) augmentation that it drew
    the truth for, that must be the sample's.

    Raises:
        ValueError: the views differ in shape, the augmentation of the points
            is not known, it went on after a truth was drawn, or a frame comes in
            several augmented copies (of test-time augmentation).
    """

    def __init__(self, keys: Sequence[str] | None = None,
                 meta_keys: Sequence[str] = META_KEYS) -> None:
        fields = _packed_fields()
        if keys is None:
            keys = (*KEYS, *(field.source for field in fields if field.source))
        self.fields = [field for field in fields if field.source in keys]
        packed = [field.source for field in self.fields]
        super().__init__(keys=tuple(key for key in keys if key not in packed),
                         meta_keys=tuple(meta_keys))

    def transform(self, results: dict | list[dict]) -> dict:
        """Pack one sample, which MultiScaleFlipAug3D makes a list of."""
        if isinstance(results, list) and len(results) > 1:
            raise ValueError(refused_copies(len(results)))
        return super().transform(results)

    def pack_single_results(self, results: dict) -> dict:
        """Pack one sample."""
        shapes = {image.shape for image in results.get('img', [])}
        if len(shapes) > 1:
            raise ValueError(
                'all views must have one shape to be stacked, got '
                f'{[image.shape for image in results["img"]]}; bring them to '
                'one size with ddp.ImageAug3D')
        augmentation = lidar_augmentation(results)
        for field in self.fields:
            drawn_for = results.get(f'{field.source}_aug', augmentation)
            if not np.allclose(drawn_for, augmentation, rtol=0, atol=1e-6):
                raise ValueError(
                    f'the points were augmented after {field.source} was drawn; '
                    'move the step that draws it (of maps, ddp.LoadMapMasks) '
                    'behind the last augmentation')
        results['lidar_aug_matrix'] = augmentation
        for key in MATRICES:
            if key in results:
                results[key] = np.asarray(results[key], np.float32)
        if 'lidar2ego' in results or 'lidar2ego' in results.get('lidar_points', ()):
            results['lidar2ego'] = lidar2ego(results)
        if 'ego2global' in results:
            results['ego2global'] = np.asarray(results['ego2global'], float)
        packed = super().pack_single_results(results)
        for field in self.fields:
            if field.source in results:
                packed['data_samples'].set_field(field.pack(results[field.source]),
                                                 field.truth)
        return packed


@TRANSFORMS.register_module()
class PackDenseInputs(PackSegInputs):
    """Pack an image as mmseg does, and the truth of every registered field.

    Takes the arguments of mmseg's PackSegInputs. A field is packed where the
    sample has its ``source``; labels and depth are packed by mmseg itself.

    Returns a dict with
        inputs: img (C, H, W), of any number of channels.
        data_samples: SegDataSample with the truth of each field.
    """

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        packed = super().transform(results)
        for field in _packed_fields():
            if field.source in results:
                packed['data_samples'].set_field(field.pack(results[field.source]),
                                                 field.truth)
        return packed


def _packed_fields() -> list:
    """Return the registered fields whose truth is packed here.

    Looked up, not imported: the fields stand above the data sets.
    """
    FIELDS.import_from_location()
    return [kind() for kind in FIELDS.module_dict.values() if kind.source]
