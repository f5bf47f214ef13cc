"""The ground truth of maps of one's own as a pipeline step."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from ddp_perception.registry import TRANSFORMS

from ..geojson_map import class_layers
from ..map_rasterizer import MapRasterizer
from .map_masks import LoadMapMasks


@TRANSFORMS.register_module()
class LoadBEVMasks(LoadMapMasks):
    """Draw the map of a `ddp.BEVDataset` in the augmented BEV frame.

    As `LoadMapMasks`, for any classes, from polygons and lines or from images.

    Args:
        xbound: (min, max, step) in metres, x to the right of the vehicle.
        ybound: (min, max, step) along y, forward.
        classes: Out of those of the data set, in the order of the masks.
        optional: Leave samples without a map as they are, instead of raising: for
            prediction.

    Reads: map_source, ego2global, lidar2ego, and what augmentation left behind.
    Writes: gt_masks_bev, (num_classes, X, Y) uint8; gt_masks_bev_aug, the (4, 4)
    augmentation they were drawn for.

    Raises:
        ValueError: a class is named twice or there is none, or a bound does not
            suit (when built); a sample has no map, or its augmentation is not
            known.
    """

    def __init__(self, xbound: Sequence[float], ybound: Sequence[float],
                 classes: Sequence[str], optional: bool = False) -> None:
        self.rasterizer = MapRasterizer(xbound, ybound, classes, class_layers(classes))
        self.optional = optional

    def transform(self, results: Any) -> Any:
        """Add `gt_masks_bev`."""
        if self.optional and isinstance(results, dict) and (
                results.get('map_source') is None):
            return results
        return super().transform(results)

    def draw(self, results: dict, global_from_bev: np.ndarray) -> np.ndarray:
        """See `LoadMapMasks`."""
        source = results.get('map_source')
        if source is None:
            raise ValueError(
                f'sample {results.get("token", "?")} has no map, which '
                'ddp.LoadBEVMasks draws; in a pipeline of prediction give it '
                'optional=True')
        return source.load().masks(self.rasterizer, global_from_bev)
