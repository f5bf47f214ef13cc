"""What the augmentation of mmdet3d's BEVFusion project leaves in a sample.

The project is no part of the installed package. These steps move points and
boxes, draw, and note what they did as its steps do: rotate, translate, scale,
with `lidar_aug_matrix` multiplied from the left.
"""
import numpy as np
from mmdet3d.datasets.transforms import GlobalRotScaleTrans


class BEVFusionGlobalRotScaleTrans(GlobalRotScaleTrans):
    """Rotate, translate, scale."""

    def transform(self, results):
        self._rot_bbox_points(results)
        if 'pcd_scale_factor' not in results:
            self._random_scale(results)
        self._trans_bbox_points(results)
        self._scale_bbox_points(results)
        results.setdefault('transformation_3d_flow', []).extend(['R', 'T', 'S'])
        scale, step = results['pcd_scale_factor'], np.eye(4)
        step[:3, :3] = np.asarray(results['pcd_rotation']).T * scale
        step[:3, 3] = results['pcd_trans'] * scale
        results['lidar_aug_matrix'] = step @ results.get('lidar_aug_matrix', np.eye(4))
        return results


class BEVFusionRandomFlip3D:
    """Flip along x, y or both as told, masks too; note it in the matrix."""

    def __init__(self, horizontal, vertical):
        self.chosen = [(name, axis) for name, axis, chosen in (
            ('horizontal', 1, horizontal), ('vertical', 0, vertical)) if chosen]

    def __call__(self, results):
        matrix = results.setdefault('lidar_aug_matrix', np.eye(4))
        for name, axis in self.chosen:
            for key in ('points', 'gt_bboxes_3d'):
                if key in results:
                    results[key].flip(name)
            if 'gt_masks_bev' in results:
                results['gt_masks_bev'] = np.flip(
                    results['gt_masks_bev'], 2 if axis else 1).copy()
            matrix[axis] *= -1
        return results
