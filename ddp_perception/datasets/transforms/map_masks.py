"""The ground truth of map segmentation as a pipeline step."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from ddp_perception.registry import TRANSFORMS

from ..lidar_frame import lidar_augmentation
from ..map_classes import MAP_CLASSES
from ..map_rasterizer import MapRasterizer
from ..vector_map import load_vector_map


@TRANSFORMS.register_module()
class LoadMapMasks(BaseTransform):
    """Rasterise the map classes in the augmented LiDAR frame.

    The pose is ego2global . lidar2ego . inverse(augmentation): rotation,
    translation, scale and flips of the points apply to the masks alike. Put
    it anywhere after the last augmentation of the points, be it ours,
    mmdet3d's or that of its BEVFusion project (`lidar_augmentation` tells
    which orders are understood, and raises for others). A list of samples,
    as MultiScaleFlipAug3D makes it, gets masks for each. A sample of no place
    at all (neither map_location nor ego2global), as mmdet3d's inference API
    makes it of a point cloud, stays without masks.

    Args:
        xbound: [min, max, step] in metres, LiDAR frame.
        ybound: (min, max, step) along y.
        classes: Out of `MAP_CLASSES`.
        map_root: nuScenes root with maps/expansion. By default the data set
            names it (key `map_root`).

    Reads: map_location, ego2global, lidar_points.lidar2ego, map_root, and
    what augmentation left behind.
    Writes: gt_masks_bev, (num_classes, X, Y) uint8; gt_masks_bev_aug, the
    (4, 4) augmentation they were drawn for.

    Raises:
        ValueError: a class is unknown (when built), the sample has no
            location, or its augmentation is not known.
        FileNotFoundError: the map expansion file is missing.
    """

    def __init__(self, xbound: Sequence[float] = (-50., 50., .5),
                 ybound: Sequence[float] = (-50., 50., .5),
                 classes: Sequence[str] = MAP_CLASSES,
                 map_root: str | None = None) -> None:
        self.rasterizer = MapRasterizer(xbound, ybound, classes)
        self.map_root = map_root

    def transform(self, results: Any) -> Any:
        """Add `gt_masks_bev`."""
        if isinstance(results, list):
            return [self.transform(item) for item in results]
        if results.get('map_location') is None and 'ego2global' not in results:
            return results
        global_from_lidar = (np.asarray(results['ego2global'], float)
                             @ lidar2ego(results))
        augmentation = lidar_augmentation(results)
        results['gt_masks_bev'] = self.draw(
            results, global_from_lidar @ np.linalg.inv(augmentation))
        results['gt_masks_bev_aug'] = augmentation
        return results

    def draw(self, results: dict, global_from_bev: np.ndarray) -> np.ndarray:
        """Return the masks of a sample, (num_classes, X, Y) uint8.

        Args:
            results: The sample.
            global_from_bev: (4, 4), from the augmented LiDAR frame.
        """
        location = results.get('map_location')
        root = self.map_root or results.get('map_root')
        name = results.get('token', '?')
        if location is None:
            raise ValueError(
                f'sample {name} has no map_location; add the map fields to the '
                'info files with "ddp-perception prepare nuscenes ROOT '
                '--extend FILE"')
        if root is None:
            raise ValueError(
                f'sample {name} has no map_root; give ddp.LoadMapMasks '
                'map_root=data_root, or use ddp.NuScenesMapDataset')
        return self.rasterizer(load_vector_map(root, location), global_from_bev)

    def __repr__(self) -> str:
        """Name the classes and the grid."""
        return (f'{type(self).__name__}(classes={self.rasterizer.classes}, '
                f'cells={self.rasterizer.shape})')


def lidar2ego(results: dict) -> np.ndarray:
    """Return the (4, 4) LiDAR to ego transform of a sample, float64."""
    matrix = results.get('lidar2ego')
    if matrix is None:
        matrix = results['lidar_points']['lidar2ego']
    return np.asarray(matrix, dtype=float)
