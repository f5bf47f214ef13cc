"""Bird's-eye-view maps as graphs: of cameras and LiDAR, and of a prior map."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ddp_perception.bevfusion.view_transforms import ViewTransform
from ddp_perception.export.frame_inputs import FrameInputs
from ddp_perception.export.graph import Graph, GraphTensor, example
from ddp_perception.ops.bev_pool import PieceBags, pool_pieces

_BAGS = ('bag_pairs', 'bag_pixels', 'bag_sums_1', 'bag_sums_2', 'bag_cells')
MEANINGS = {
    'images': 'prepared images (1, camera, channel, row, column); see preprocessing',
    'depth_images': 'depth of the LiDAR points seen in each image, metres, 0 where '
    'there is none, (camera, 1, row, column)',
    'bag_pairs': 'which (camera, depth, pixel) a piece of a cell sums, counted from 1 '
    'in the flat depth probabilities; 0 fills a piece',
    'bag_pixels': 'the flat (camera, pixel) of each; any where bag_pairs is 0',
    'bag_sums_1': 'pieces that are summed again: rows of the table of zeros and the '
    'sums so far',
    'bag_sums_2': 'the same once more',
    'bag_cells': 'the row of that table that each cell takes',
    'voxels': 'points of each pillar (pillar, point, number), zeros after its last',
    'voxel_counts': 'points of each pillar, 1 at least',
    'voxel_coors': 'batch 0, z, y, x of each pillar; x -1 for a row that only fills',
    'lidar_bev': "BEV map of the LiDAR branch, (1, channel, x, y); the model's own "
    'encoder is no part of the graph',
}
FREE = {
    'images': {1: 'cameras'}, 'depth_images': {0: 'cameras'},
    **{name: {0: name} for name in _BAGS[:-1]},
    'voxels': {0: 'pillars'}, 'voxel_counts': {0: 'pillars'},
    'voxel_coors': {0: 'pillars'},
}


class FrameGraph(Graph):
    """From one frame of cameras, LiDAR or both to the map.

    What depends on the calibration alone is an input, so that one graph serves
    every rig and every pose: see `FrameInputs`, which also says what of the
    LiDAR branch is in the graph.

    Args:
        model: `ddp.BEVFusion` with a map head. It is changed: give a copy.
        frame: inputs of one frame, from which the graph is traced.
        constant_noise: see `Graph`.

    Raises:
        ValueError: the model has a view transform of another package.
    """

    kind = 'frame'

    def __init__(self, model: Any, frame: FrameInputs,
                 constant_noise: bool = False) -> None:
        super().__init__(model.seg_head, constant_noise)
        if model.with_camera and not isinstance(model.view_transform, ViewTransform):
            raise ValueError(f'{type(model.view_transform).__name__} is no view '
                             'transform of ddp, whose geometry a graph takes as input')
        self.model = model
        self.inputs = [GraphTensor(name, MEANINGS[name], tensor, FREE.get(name, {}))
                       for name, tensor in frame.items()]
        self.add_noise_input(model.seg_head.input_grid.shape)

    def features(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """See `Graph`."""
        model = self.model
        maps = []
        if model.with_camera:
            maps.append(self._camera_map(tensors))
        if model.with_lidar:
            maps.append(tensors['lidar_bev'] if 'lidar_bev' in tensors
                        else self._pillar_map(tensors))
        x: Any = maps[0] if model.fusion_layer is None else model.fusion_layer(maps)
        for part in (model.pts_backbone, model.pts_neck):
            x = x if part is None else part(x)
        return self.head.bev_features(x)

    def _camera_map(self, named: Mapping[str, Tensor]) -> Tensor:
        model, images = self.model, named['images']
        x = model.img_backbone(images.flatten(0, 1))
        x = x if model.img_neck is None else model.img_neck(x)
        x = x if isinstance(x, Tensor) else x[0]
        depth, features = model.view_transform.estimate(
            x[None], named.get('depth_images'))
        pairs, pixels, *sums, cells = (named[name] for name in _BAGS)
        pooled = pool_pieces(depth.flatten(2), features.flatten(2),
                             PieceBags(pairs, pixels, tuple(sums), cells))
        return model.view_transform.to_map(pooled[None])

    def _pillar_map(self, named: Mapping[str, Tensor]) -> Tensor:
        """Return the (1, C, X, Y) map of the pillars.

        Every pillar has a cell of its own, so this is a ScatterND that adds
        nothing. Rows that only fill are written to one cell more.
        """
        scatter, coors = self.model.pts_middle_encoder, named['voxel_coors']
        # Encoders of mmdet3d may write to what they are given.
        features = self.model.pts_voxel_encoder(
            named['voxels'].clone(), named['voxel_counts'], coors)
        cells = scatter.nx * scatter.ny
        y, x = coors[:, 2], coors[:, 3]
        place = torch.where(x < 0, cells, y * scatter.nx + x)
        canvas = features.new_zeros(cells + 1, features.shape[1])
        canvas = canvas.index_put((place.long(), ), features)
        return canvas[:cells].view(scatter.ny, scatter.nx, -1).permute(2, 1, 0)[None]

    @property
    def meaning(self) -> str:
        """See `Graph`."""
        return _MAP


class PriorGraph(Graph):
    """From prior maps to maps.

    Args:
        model: `ddp.MapPriorSegmentor`. It is changed: give a copy.
        channels: of the prior.
        constant_noise: see `Graph`.
    """

    kind = 'prior'

    def __init__(self, model: Any, channels: int, constant_noise: bool = False) -> None:
        super().__init__(model.seg_head, constant_noise)
        self.model = model
        self.inputs = [GraphTensor(
            'prior', 'prior maps (map, channel, x, y)',
            (example(2, channels, *model.prior_grid.shape) > 0).float(), {0: 'batch'})]
        self.add_noise_input(model.seg_head.input_grid.shape)

    def features(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """See `Graph`."""
        return self.head.bev_features(self.model.extract_feat(tensors['prior']))

    @property
    def meaning(self) -> str:
        """See `Graph`."""
        return _MAP


_MAP = ('the map, (item, channel, x, y) in the cells of grid: of a map head, '
        'probabilities of its classes, which overlap')
