"""In which order a middle encoder reads the coordinates of voxels."""
from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def coordinate_order(encoder: nn.Module, grid_size: Sequence[int]) -> str:
    """Return the order, 'zyx' or 'xyz', in which an encoder reads voxels.

    mmdet3d's encoders read z, y, x, those of BEVFusion x, y, z. Ours say so in
    an attribute ``coordinate_order``; the one of mmdet3d's project is known by
    its ``sparse_shape``, whose number of layers comes last.

    Args:
        encoder: a middle encoder.
        grid_size: voxels along x, y, z.
    """
    order = getattr(encoder, 'coordinate_order', None)
    if order is not None:
        return order
    shape = getattr(encoder, 'sparse_shape', None)
    if shape is None:
        return 'zyx'
    layers = (int(grid_size[2]), int(grid_size[2]) + 1)  # one more is usual
    return 'xyz' if shape[2] in layers and shape[0] not in layers else 'zyx'
