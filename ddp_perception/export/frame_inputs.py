"""What the graph of a map model takes of one frame."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmdet3d.models.middle_encoders import PointPillarsScatter
from torch import Tensor

from ddp_perception.bevfusion.calibration import stack_matrices
from ddp_perception.bevfusion.lifting import depth_images
from ddp_perception.bevfusion.voxelize import check_points, placeholder, voxelize
from ddp_perception.export.graph import example
from ddp_perception.ops.bev_pool import PieceBags

FrameInputs = dict[str, Tensor]
"""Tensors by name; `map_graphs.MEANINGS` says what each holds."""


def encodes_pillars(model: Any) -> bool:
    """Whether a graph can hold the LiDAR branch of a model."""
    return (type(model.pts_middle_encoder) is PointPillarsScatter
            and model.pts_voxel_encoder is not None and not model.voxelize_reduce)


def frame_inputs(model: Any, images: Tensor | None, points: Tensor | None,
                 meta: dict) -> FrameInputs:
    """Prepare one frame.

    Voxels of the points and the cells in which each pixel and depth falls are
    computed here, outside of the graph. The cells follow from the matrices: for a
    rig whose matrices never change they are computed once.

    Args:
        model: `ddp.BEVFusion`. Where no graph can hold its LiDAR branch, the
            branch's map is computed by the model.
        images: (N, 3, H, W) after the data preprocessor.
        points: (n, F).
        meta: metainfo of the frame, with its matrices.

    Raises:
        ValueError: the frame lacks what the model needs, or points are not
            finite.
    """
    inputs: FrameInputs = {}
    model._check_modalities(images, points)
    if points is not None and model.with_lidar:
        check_points([points], [meta])
    if model.with_camera:
        assert images is not None
        if tuple(images.shape[-2:]) != model.view_transform.image_size:
            raise ValueError('images must be of the size (height, width) '
                             f'{model.view_transform.image_size}, got '
                             f'{tuple(images.shape[-2:])}')
        inputs.update(images=images[None], **_geometry(model, images, points, meta))
    if model.with_lidar:
        assert points is not None
        if not encodes_pillars(model):
            inputs['lidar_bev'] = model.extract_pts_feat([points])
            return inputs
        voxels = voxelize(model.pts_voxel_layer, [points])
        if not len(voxels.coors):
            voxels = placeholder(voxels)
            voxels.coors[:, 3] = -1
        inputs.update(voxels=voxels.points, voxel_counts=voxels.counts,
                      voxel_coors=voxels.coors)
    return inputs


def _geometry(model: Any, images: Tensor, points: Tensor | None, meta: dict
              ) -> FrameInputs:
    transform, cameras = model.view_transform, len(images)

    def stack(key: str) -> Tensor:
        return stack_matrices([meta], key, *([] if key == 'lidar_aug_matrix'
                                             else [cameras]))[0].double().cpu()
    image_aug, lidar_aug = stack('img_aug_matrix'), stack('lidar_aug_matrix')
    pieces = PieceBags.of(transform.geometry(
        stack('cam2img'), stack('cam2lidar'), image_aug, lidar_aug))
    inputs = {}
    if transform.needs_points:
        assert points is not None
        inputs['depth_images'] = depth_images(
            points, stack('lidar2img'), image_aug, lidar_aug, transform.image_size)
    sums = {f'bag_sums_{level}': rows for level, rows in enumerate(pieces.sums, 1)}
    return {**inputs, 'bag_pairs': pieces.pairs, 'bag_pixels': pieces.pixels, **sums,
            'bag_cells': pieces.cells}


def example_frame(model: Any, cameras: int = 6, points: int = 20000
                  ) -> tuple[Tensor | None, Tensor | None, dict[str, Any]]:
    """Make up a frame: cameras all around and points everywhere.

    Args:
        model: `ddp.BEVFusion`.
        cameras: how many.
        points: how many.

    Returns:
        Images, points and metainfo as `frame_inputs` takes them; None for what
        the model does not read.
    """
    images = cloud = None
    meta: dict[str, Any] = dict(lidar_aug_matrix=torch.eye(4).numpy())
    if model.with_camera:
        height, width = model.view_transform.image_size
        images = example(cameras, 3, height, width)
        cam2img = torch.eye(4, dtype=torch.float64).repeat(cameras, 1, 1)
        cam2img[:, 0, 0] = cam2img[:, 1, 1] = 0.75 * width  # 67 degrees wide
        cam2img[:, 0, 2], cam2img[:, 1, 2] = width / 2, height / 2
        cam2lidar = torch.stack([_camera(2 * math.pi * index / cameras)
                                 for index in range(cameras)])
        meta.update(cam2img=cam2img.numpy(), cam2lidar=cam2lidar.numpy(),
                    lidar2img=(cam2img @ cam2lidar.inverse()).numpy(),
                    img_aug_matrix=torch.eye(4).repeat(cameras, 1, 1).numpy())
    if model.with_lidar or getattr(model.view_transform, 'needs_points', False):
        cloud = _cloud(model, points)
    return images, cloud, meta


def _camera(yaw: float) -> Tensor:
    """Return (4, 4) from a level camera that looks along a yaw to the LiDAR frame."""
    sin, cos = math.sin(yaw), math.cos(yaw)
    axes: Sequence[Sequence[float]] = (
        (cos, 0, -sin, -sin), (sin, 0, cos, cos), (0, -1, 0, -0.3), (0, 0, 0, 1))
    return torch.tensor(axes, dtype=torch.float64)


def _cloud(model: Any, points: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    layer = getattr(model, 'pts_voxel_layer', None)
    bounds = [-50., -50., -5., 50., 50., 3.] if layer is None \
        else layer.point_cloud_range
    low, high = torch.tensor(bounds).float().view(2, 3)
    encoder = model.pts_voxel_encoder
    numbers = getattr(encoder, 'num_features', None) or _numbers(model)
    cloud = torch.rand(points, numbers, generator=generator)
    cloud[:, :3] = low + (high - low) * cloud[:, :3]
    return cloud


def _numbers(model: Any) -> int:
    """Return how many numbers each point has that a model's encoders read."""
    encoder = model.pts_voxel_encoder
    if encoder is None:
        return getattr(model.pts_middle_encoder, 'in_channels', 5)
    decorations = (3 * encoder._with_cluster_center + 3 * encoder._with_voxel_center
                   + encoder._with_distance)
    return encoder.in_channels - decorations
