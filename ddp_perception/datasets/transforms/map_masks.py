"""The ground truth of map segmentation as a pipeline step."""
import numpy as np
from mmcv.transforms import BaseTransform

from ddp_perception.registry import TRANSFORMS

from ..map_classes import MAP_CLASSES
from ..map_rasterizer import MapRasterizer
from ..vector_map import load_vector_map


@TRANSFORMS.register_module()
class LoadMapMasks(BaseTransform):
    """Rasterise the map classes in the augmented LiDAR frame.

    The pose is ego2global . lidar2ego . inverse(lidar_aug_matrix): rotation,
    translation, scale and flips of the points apply to the masks alike. Put
    it anywhere after the last augmentation of the points.

    Args:
        xbound (Sequence[float]): [min, max, step] in metres, LiDAR frame.
        ybound (Sequence[float]): The same along y.
        classes (Sequence[str]): Out of `MAP_CLASSES`.
        map_root (str, optional): nuScenes root with maps/expansion. By
            default the data set names it (key `map_root`).

    Reads: map_location, ego2global, lidar_points.lidar2ego,
    lidar_aug_matrix (identity where absent), map_root.
    Writes: gt_masks_bev, (num_classes, X, Y) uint8.

    Raises:
        ValueError: a class is unknown (when built), or the sample has no
            location.
        FileNotFoundError: the map expansion file is missing.
    """

    def __init__(self, xbound=(-50., 50., .5), ybound=(-50., 50., .5),
                 classes=MAP_CLASSES, map_root=None):
        self.rasterizer = MapRasterizer(xbound, ybound, classes)
        self.map_root = map_root

    def transform(self, results):
        """Add `gt_masks_bev`."""
        location = results.get('map_location')
        root = self.map_root or results.get('map_root')
        if location is None or root is None:
            missing = 'map_root' if location else 'map_location'
            raise ValueError(
                f'sample {results.get("token", "?")} has no {missing}; use '
                'ddp.NuScenesMapDataset and info files from '
                '"ddp-perception prepare nuscenes ROOT"')
        global_from_lidar = (np.asarray(results['ego2global'], float)
                             @ lidar2ego(results))
        augmentation = np.asarray(
            results.get('lidar_aug_matrix', np.eye(4)), float)
        results['gt_masks_bev'] = self.rasterizer(
            load_vector_map(root, location),
            global_from_lidar @ np.linalg.inv(augmentation))
        return results

    def __repr__(self):
        """Name the classes and the grid."""
        return (f'{type(self).__name__}(classes={self.rasterizer.classes}, '
                f'cells={self.rasterizer.shape})')


def lidar2ego(results):
    """Return the (4, 4) LiDAR to ego transform of a sample, float64."""
    matrix = results.get('lidar2ego')
    if matrix is None:
        matrix = results['lidar_points']['lidar2ego']
    return np.asarray(matrix, dtype=float)
