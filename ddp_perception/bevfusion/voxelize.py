"""Hard voxelization of a batch of point clouds, and checks of its points."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from mmcv.ops import Voxelization
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ddp_perception.bevfusion.calibration import sample_name


class Voxels(NamedTuple):
    """Voxels of a batch.

    Attributes:
        points: (V, M, F) float32, zeros after the last point of a voxel.
        counts: (V,) int32 points in each voxel.
        coors: (V, 4) int32 batch, z, y, x.
    """

    points: Tensor
    counts: Tensor
    coors: Tensor

    def mean(self) -> Tensor:
        """Return (V, F): the mean point of each voxel."""
        counts = self.counts.to(self.points).unsqueeze(1)
        return (self.points.sum(1) / counts).contiguous()


def check_points(points: Sequence[Tensor], metas: Sequence[dict]) -> None:
    """Raise ValueError where a cloud has values that are not finite."""
    for index, (cloud, meta) in enumerate(zip(points, metas)):
        finite = torch.isfinite(cloud).all(dim=1)
        if not finite.all():
            raise ValueError(f'{int((~finite).sum())} of {len(cloud)} points of '
                             f'{sample_name(meta, index)} have NaN or infinite '
                             'values')


@torch.no_grad()
def voxelize(layer: Voxelization, points: Sequence[Tensor]) -> Voxels:
    """Voxelize every cloud of a batch in float32; a cloud may be empty.

    Args:
        layer: mmcv's hard voxelization.
        points: one (n, F) per sample, the first three x, y, z in metres.
    """
    parts = []
    for index, cloud in enumerate(points):
        cloud = cloud.float()
        if len(cloud):
            voxels, coors, counts = layer(cloud)
        else:
            voxels = cloud.new_zeros(0, layer.max_num_points, cloud.shape[1])
            coors = cloud.new_zeros(0, 3, dtype=torch.int32)
            counts = cloud.new_zeros(0, dtype=torch.int32)
        coors = nn.functional.pad(coors, (1, 0), value=index)
        parts.append((voxels, counts, coors))
    return Voxels(*(torch.cat(part) for part in zip(*parts)))


def placeholder(voxels: Voxels) -> Voxels:
    """Return one voxel of zeros, to stand for a batch that has none at all."""
    return Voxels(voxels.points.new_zeros(1, *voxels.points.shape[1:]),
                  voxels.counts.new_ones(1), voxels.coors.new_zeros(1, 4))


@contextmanager
def frozen_norms(*modules: nn.Module) -> Iterator[None]:
    """Let batch norms use their running statistics and leave them unchanged."""
    norms = [norm for module in modules for norm in module.modules()
             if isinstance(norm, _BatchNorm) and norm.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()
