"""View transforms: camera features lifted by depth and pooled into a BEV grid.

Same configuration keys and names of learned parts as the view transforms of
mmdet3d's BEVFusion project.

Source: Lift-Splat-Shoot, arXiv:2008.05711; BEVFusion, arXiv:2205.13542.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ddp_perception.bevfusion.geometry_cache import GeometryCache
from ddp_perception.bevfusion.lifting import (
    depth_images,
    pixel_grid,
    pixel_rays,
)
from ddp_perception.ops.axis import Axis
from ddp_perception.ops.bev_pool import (
    BEVBags,
    VoxelGrid,
    bags_from_cells,
    bev_pool,
    cells_along_rays,
)
from ddp_perception.ops.conv_block import conv_norm_relu
from ddp_perception.registry import MODELS

# Parts of the released models' state_dict that only restate the config.
_GEOMETRY_KEYS = ('dx', 'bx', 'nx', 'frustum')


class CameraGeometry(NamedTuple):
    """The matrices that place the pixels of a sample in the BEV grid.

    All are float64 on the CPU; those of a batch have one dimension more.

    Attributes:
        cam2img: (N, 4, 4) camera intrinsics.
        cam2lidar: (N, 4, 4) camera to LiDAR, before augmentation.
        img_aug_matrix: (N, 4, 4) augmentation of the images.
        lidar_aug_matrix: (4, 4) augmentation of the LiDAR frame.
    """

    cam2img: Tensor
    cam2lidar: Tensor
    img_aug_matrix: Tensor
    lidar_aug_matrix: Tensor

    def sample(self, index: int) -> CameraGeometry:
        """Return the matrices of one sample of a batch."""
        return CameraGeometry(*(matrix[index] for matrix in self))

    def key(self) -> tuple[bytes, ...]:
        """Return what differs wherever a matrix does."""
        return tuple(matrix.numpy().tobytes() for matrix in self)


class ViewTransform(nn.Module):
    """Lift image features by their depth probabilities and pool them.

    The geometry of a sample (which pixel and depth falls in which cell) can
    be kept for samples of the very same calibration and augmentation
    matrices: see ``cache_size``.

    Args:
        in_channels: number of channels of the image features.
        out_channels: number of channels of the BEV features, C.
        image_size: height and width of the augmented images, pixels.
        feature_size: height and width of the image features, h and w.
        xbound: (min, max, step) of the grid in the LiDAR frame, metres.
        ybound: (min, max, step) along y.
        zbound: (min, max, step) along z; cells are stacked along the channels.
        dbound: (min, max, step) of the depths, the camera's z in metres.
        downsample: 2 halves the grid's resolution by convolutions, 1 keeps it.
        truncate_indices: round cell indices toward zero, as the released
            models do, which puts points up to one cell outside the lower
            borders into the border cells. Off, they are outside.
        cache_size: samples whose geometry is kept, about 20 MiB each at full
            size; 0 computes it every time. Worth it for a rig whose matrices
            never change. On nuScenes they do in every frame: cameras and
            LiDAR are triggered at different moments of the vehicle's motion.

    Shape:
        img: (B, N, in_channels, h, w) of N cameras.
        points: list of (n, >= 3), only read where ``needs_points``.
        lidar2image, camera_intrinsics, camera2lidar, img_aug_matrix:
            (B, N, 4, 4).
        lidar_aug_matrix: (B, 4, 4).
        returns: (B, C * nz, X, Y), in the channels_last memory format.

    Raises:
        ValueError: a size, bound or matrix does not fit.
    """

    needs_points = False
    depths: Tensor
    pixels: Tensor

    def __init__(self, in_channels: int, out_channels: int, image_size: Sequence[int],
                 feature_size: Sequence[int], xbound: Sequence[float],
                 ybound: Sequence[float], zbound: Sequence[float],
                 dbound: Sequence[float], downsample: int = 1,
                 truncate_indices: bool = False, cache_size: int = 0) -> None:
        """Build the parts that every view transform shares."""
        super().__init__()
        if downsample not in (1, 2):
            raise ValueError(f'downsample must be 1 or 2, got {downsample}')
        if len(dbound) != 3 or dbound[2] <= 0 or not 0 < dbound[0] < dbound[1]:
            raise ValueError('dbound must be (min, max, step) with 0 < min < '
                             f'max and step > 0, got {dbound}')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.image_size = _pair(image_size)
        self.feature_size = _pair(feature_size)
        self.grid = VoxelGrid(Axis.of(xbound, 'xbound'), Axis.of(ybound, 'ybound'),
                              Axis.of(zbound, 'zbound'))
        self.truncate_indices = truncate_indices
        self.geometry_cache = GeometryCache(cache_size)
        depths = torch.arange(*map(float, dbound))
        self.num_depths = len(depths)
        self.register_buffer('depths', depths, persistent=False)
        self.register_buffer('pixels', pixel_grid(
            self.image_size, self.feature_size), persistent=False)
        channels = out_channels * self.grid.shape[2]
        self.downsample: nn.Module = (
            _halving(channels) if downsample == 2 else nn.Identity())
        cells = [(n + 1) // downsample if downsample == 2 else n
                 for n in self.grid.shape[:2]]
        self.output_shape = (channels, *cells)

    def forward(self, img: Tensor, points: list[Tensor] | None,
                lidar2image: Tensor | None, camera_intrinsics: Tensor,
                camera2lidar: Tensor, img_aug_matrix: Tensor,
                lidar_aug_matrix: Tensor, metas: object = None) -> Tensor:
        """Return the BEV features (B, C * nz, X, Y) of a batch."""
        if tuple(img.shape[-2:]) != self.feature_size:
            raise ValueError('the view transform was configured for features '
                             f'of {self.feature_size}, got '
                             f'{tuple(img.shape[-2:])}')
        cameras_of_batch = CameraGeometry(*(_exact(matrix) for matrix in (
            camera_intrinsics, camera2lidar, img_aug_matrix, lidar_aug_matrix)))
        batch, cameras = img.shape[:2]
        depth, features = self.depth_and_features(
            img, points, None if lidar2image is None else _exact(lidar2image),
            cameras_of_batch)
        depth = depth.view(batch, cameras, self.num_depths, -1)
        features = features.view(batch, cameras, self.out_channels, -1)
        pooled = torch.stack([
            bev_pool(depth[b], features[b],
                     self.geometry(*cameras_of_batch.sample(b)))
            for b in range(batch)])
        return self.to_map(pooled)

    def to_map(self, pooled: Tensor) -> Tensor:
        """Return BEV features of what was pooled, (B, num_cells, C)."""
        nx, ny, nz = self.grid.shape
        pooled = pooled.view(len(pooled), nz, nx, ny, self.out_channels)
        pooled = pooled.permute(0, 1, 4, 2, 3).flatten(1, 2)  # B (nz C) X Y
        return self.downsample(pooled)

    def estimate(self, img: Tensor, depth_images: Tensor | None = None
                 ) -> tuple[Tensor, Tensor]:
        """Return (B N, D, h, w) probabilities and (B N, C, h, w) features.

        Args:
            img: (B, N, in_channels, h, w).
            depth_images: (B N, 1, height, width) of the points, metres, where
                ``needs_points``; see `depth_images`.
        """
        raise NotImplementedError

    def depth_and_features(self, img: Tensor, points: list[Tensor] | None,
                           lidar2img: Tensor | None, cameras: CameraGeometry
                           ) -> tuple[Tensor, Tensor]:
        """Return (B N, D, h, w) probabilities and (B N, C, h, w) features."""
        raise NotImplementedError

    def geometry(self, cam2img: Tensor, cam2lidar: Tensor,
                 img_aug_matrix: Tensor, lidar_aug_matrix: Tensor) -> BEVBags:
        """Return the bags of one sample, from the cache where it is known.

        Args:
            cam2img: (N, 4, 4), float64 on CPU, like the other matrices.
            cam2lidar: (N, 4, 4).
            img_aug_matrix: (N, 4, 4).
            lidar_aug_matrix: (4, 4).
        """
        cameras = CameraGeometry(cam2img, cam2lidar, img_aug_matrix,
                                 lidar_aug_matrix)
        key = (str(self.depths.device), *cameras.key())
        return self.geometry_cache.get(key, lambda: self._bags(cameras))

    def sight_lines(self, cam2img: Tensor, cam2lidar: Tensor, img_aug_matrix: Tensor,
                    target_from_lidar: Tensor) -> tuple[Tensor, Tensor]:
        """Return `pixel_rays` of the feature pixels in a frame's units.

        ``target_from_lidar`` (4, 4) takes an unaugmented LiDAR point to the
        frame wanted: with ``lidar_aug_matrix`` itself the result is in metres
        of the augmented LiDAR frame.
        """
        return pixel_rays(self.pixels, cam2img, img_aug_matrix,
                          target_from_lidar @ cam2lidar)

    def _bags(self, cameras: CameraGeometry) -> BEVBags:
        # Bags cached in inference mode may serve a training step later.
        with torch.inference_mode(False), torch.no_grad():
            rays, starts = self.sight_lines(
                cameras.cam2img, cameras.cam2lidar, cameras.img_aug_matrix,
                self.grid.from_metric() @ cameras.lidar_aug_matrix)
            cells = cells_along_rays(starts, rays, self.depths, self.grid.shape,
                                     self.truncate_indices)
            return bags_from_cells(cells, self.grid.num_cells, self.feature_size[1])

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split the depth net's (B N, D + C, h, w) output, in float32 at least.

        Sums of hundreds of products would lose too much in half precision.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x[:, :self.num_depths].softmax(1), x[:, self.num_depths:]

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any,
                              **kwargs: Any) -> None:
        for key in _GEOMETRY_KEYS:
            state_dict.pop(prefix + key, None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@MODELS.register_module()
class LSSTransform(ViewTransform):
    """View transform that guesses depth from the image alone.

    See `ViewTransform` for arguments, shapes and errors.
    """

    def __init__(self, in_channels: int, out_channels: int, image_size: Sequence[int],
                 feature_size: Sequence[int], xbound: Sequence[float],
                 ybound: Sequence[float], zbound: Sequence[float],
                 dbound: Sequence[float], downsample: int = 1,
                 truncate_indices: bool = False, cache_size: int = 0) -> None:
        """Add the depth net: one 1x1 convolution."""
        super().__init__(in_channels, out_channels, image_size, feature_size,
                         xbound, ybound, zbound, dbound, downsample,
                         truncate_indices, cache_size)
        self.depthnet = nn.Conv2d(in_channels, self.num_depths + out_channels, 1)

    def depth_and_features(self, img: Tensor, points: list[Tensor] | None,
                           lidar2img: Tensor | None, cameras: CameraGeometry
                           ) -> tuple[Tensor, Tensor]:
        """See `ViewTransform`."""
        return self.estimate(img)

    def estimate(self, img: Tensor, depth_images: Tensor | None = None
                 ) -> tuple[Tensor, Tensor]:
        """See `ViewTransform`."""
        return self.split(self.depthnet(img.flatten(0, 1)))


@MODELS.register_module()
class DepthLSSTransform(ViewTransform):
    """View transform that also sees the LiDAR points in each image.

    The image features must have 1/8 of the image's size. See `ViewTransform`
    for arguments, shapes and errors. Points are not changed; the released
    code shifts the caller's points in place.
    """

    needs_points = True

    def __init__(self, in_channels: int, out_channels: int, image_size: Sequence[int],
                 feature_size: Sequence[int], xbound: Sequence[float],
                 ybound: Sequence[float], zbound: Sequence[float],
                 dbound: Sequence[float], downsample: int = 1,
                 truncate_indices: bool = False, cache_size: int = 0) -> None:
        """Add the net of the depth image and the depth net."""
        super().__init__(in_channels, out_channels, image_size, feature_size,
                         xbound, ybound, zbound, dbound, downsample,
                         truncate_indices, cache_size)
        expected = tuple(-(-size // 8) for size in self.image_size)
        if self.feature_size != expected:
            raise ValueError('feature_size must be 1/8 of image_size '
                             f'{self.image_size}, {expected}, got '
                             f'{self.feature_size}')
        self.dtransform = nn.Sequential(
            *conv_norm_relu(1, 8, 1, bias=True),
            *conv_norm_relu(8, 32, 5, stride=4, bias=True),
            *conv_norm_relu(32, 64, 5, stride=2, bias=True))
        self.depthnet = nn.Sequential(
            *conv_norm_relu(in_channels + 64, in_channels, bias=True),
            *conv_norm_relu(in_channels, in_channels, bias=True),
            nn.Conv2d(in_channels, self.num_depths + out_channels, 1))

    def depth_and_features(self, img: Tensor, points: list[Tensor] | None,
                           lidar2img: Tensor | None, cameras: CameraGeometry
                           ) -> tuple[Tensor, Tensor]:
        """See `ViewTransform`."""
        if points is None or lidar2img is None:
            missing = 'points' if points is None else 'lidar2image'
            raise ValueError(f'DepthLSSTransform needs {missing}, got None')
        return self.estimate(img, torch.cat([
            depth_images(cloud.detach(), lidar2img[b], cameras.img_aug_matrix[b],
                         cameras.lidar_aug_matrix[b], self.image_size)
            for b, cloud in enumerate(points)]))  # (B N) 1 H W

    def estimate(self, img: Tensor, depth_images: Tensor | None = None
                 ) -> tuple[Tensor, Tensor]:
        """See `ViewTransform`."""
        if depth_images is None:
            raise ValueError('DepthLSSTransform needs depth_images, got None')
        depth = self.dtransform(depth_images.to(img.dtype))
        return self.split(self.depthnet(torch.cat([depth, img.flatten(0, 1)], 1)))


def _pair(size: Sequence[int]) -> tuple[int, int]:
    height, width = size
    return height, width


def _exact(matrix: Tensor) -> Tensor:
    return matrix.detach().double().cpu()


def _halving(channels: int) -> nn.Sequential:
    return nn.Sequential(*(layer for stride in (1, 2, 1) for layer in
                           conv_norm_relu(channels, channels, stride=stride)))
