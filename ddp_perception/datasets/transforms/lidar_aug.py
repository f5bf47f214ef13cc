"""Augment the LiDAR frame: points, boxes and the matrix that tells."""
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ddp_perception.registry import TRANSFORMS


def augmented_lidar(results: dict, matrix: np.ndarray) -> dict:
    """Apply an affine (4, 4) to the points and note it in the sample.

    `lidar_aug_matrix` (LiDAR frame of the file -> augmented LiDAR frame)
    becomes matrix . lidar_aug_matrix.

    Raises:
        ValueError: the map masks were drawn already.
    """
    if 'gt_masks_bev' in results:
        raise ValueError('the LiDAR frame must not change after LoadMapMasks; '
                         'move ddp.LoadMapMasks behind the augmentations')
    if 'points' in results:
        points = results['points'].tensor
        affine = torch.as_tensor(matrix, dtype=points.dtype)
        points[:, :3] = points[:, :3] @ affine[:3, :3].T + affine[:3, 3]
    before = np.asarray(results.get('lidar_aug_matrix', np.eye(4)), float)
    results['lidar_aug_matrix'] = matrix @ before
    return results


@TRANSFORMS.register_module()
class GlobalRotScaleTrans(BaseTransform):
    """Rotate about z, then translate, then scale points and boxes.

    The point p becomes s (R p + t). Without `points` (camera only) the
    matrix is drawn all the same: the view transform moves the image features.

    Args:
        rot_range: Radians, counter-clockwise from above.
        scale_ratio_range: Range of s.
        translation_std: Standard deviation of t in metres, for all axes or
            each.

    Writes: lidar_aug_matrix; points and gt_bboxes_3d where present.

    Raises:
        ValueError: a range is reversed, a scale not positive, a deviation
            negative.

    Source: MIT BEVFusion, arXiv:2205.13542 (order of the three).
    """

    def __init__(self, rot_range: Sequence[float] = (-0.785398, 0.785398),
                 scale_ratio_range: Sequence[float] = (0.9, 1.1),
                 translation_std: float | Sequence[float] = 0.5) -> None:
        for name, limits in (('rot_range', rot_range),
                             ('scale_ratio_range', scale_ratio_range)):
            if len(limits) != 2 or limits[0] > limits[1]:
                raise ValueError(f'{name} must be (low, high), got {limits}')
        if scale_ratio_range[0] <= 0:
            raise ValueError('scale_ratio_range must be positive, got '
                             f'{scale_ratio_range}')
        self.translation_std = np.broadcast_to(
            np.asarray(translation_std, float), 3)
        if (self.translation_std < 0).any():
            raise ValueError('translation_std must not be negative, got '
                             f'{translation_std}')
        self.rot_range = tuple(rot_range)
        self.scale_ratio_range = tuple(scale_ratio_range)

    def transform(self, results: dict) -> dict:
        """Draw once and apply."""
        angle = np.random.uniform(self.rot_range[0], self.rot_range[1])
        scale = np.random.uniform(self.scale_ratio_range[0],
                                  self.scale_ratio_range[1])
        shift = np.random.normal(scale=self.translation_std, size=3)
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.eye(4)
        matrix[:2, :2] = [[cos, -sin], [sin, cos]]
        matrix[:3, 3] = shift
        matrix[:3] *= scale
        if 'gt_bboxes_3d' in results:
            boxes = results['gt_bboxes_3d']
            boxes.rotate(angle)
            boxes.translate(shift)
            boxes.scale(scale)
        return augmented_lidar(results, matrix)

    def __repr__(self) -> str:
        """Name the parameters."""
        return (f'{type(self).__name__}(rot_range={self.rot_range}, '
                f'scale_ratio_range={self.scale_ratio_range}, '
                f'translation_std={self.translation_std.tolist()})')


@TRANSFORMS.register_module()
class RandomFlip3D(BaseTransform):
    """Mirror points and boxes along the axes of the LiDAR frame.

    Args:
        flip_ratio_bev_horizontal: Probability to negate y.
        flip_ratio_bev_vertical: Probability to negate x.

    Writes: lidar_aug_matrix, pcd_horizontal_flip, pcd_vertical_flip; points
    and gt_bboxes_3d where present.

    Raises:
        ValueError: a probability is outside [0, 1].
    """

    def __init__(self, flip_ratio_bev_horizontal: float = 0.5,
                 flip_ratio_bev_vertical: float = 0.5) -> None:
        ratios = flip_ratio_bev_horizontal, flip_ratio_bev_vertical
        if not all(0 <= ratio <= 1 for ratio in ratios):
            raise ValueError(f'flip ratios must be in [0, 1], got {ratios}')
        self.flip_ratio_bev_horizontal, self.flip_ratio_bev_vertical = ratios

    def transform(self, results: dict) -> dict:
        """Draw both flips and apply them."""
        horizontal = np.random.rand() < self.flip_ratio_bev_horizontal
        vertical = np.random.rand() < self.flip_ratio_bev_vertical
        if 'gt_bboxes_3d' in results:
            if horizontal:
                results['gt_bboxes_3d'].flip('horizontal')
            if vertical:
                results['gt_bboxes_3d'].flip('vertical')
        results['pcd_horizontal_flip'] = horizontal
        results['pcd_vertical_flip'] = vertical
        return augmented_lidar(results, np.diag(
            [-1. if vertical else 1., -1. if horizontal else 1., 1., 1.]))

    def __repr__(self) -> str:
        """Name the probabilities."""
        return (f'{type(self).__name__}('
                f'horizontal={self.flip_ratio_bev_horizontal}, '
                f'vertical={self.flip_ratio_bev_vertical})')
