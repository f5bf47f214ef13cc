"""Where the BEV features of a detector lie: extent, cell size, axis order."""
import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddp_perception.ops import BEVGrid

PARTS = {'pts_backbone': 'pts_neck', 'backbone': 'neck'}
"""BEV backbone of mmdet3d's detectors, and the neck behind it."""


@dataclass(frozen=True)
class FeatureLevel:
    """One BEV feature map.

    Attributes:
        channels: of the map.
        grid: its cells, in metres of the LiDAR frame.
        bev_axes: ``'xy'`` for (B, C, X, Y), ``'yx'`` for (B, C, Y, X).
    """

    channels: int
    grid: BEVGrid
    bev_axes: str

    def __str__(self):
        """Name channels, cells and extent."""
        (x_low, x_high, step), (y_low, y_high, _) = self.grid.xbound, self.grid.ybound
        cells = ' x '.join(map(str, self.grid.shape))
        return (f'{self.channels} channels, {cells} cells of {step:g} m in '
                f'x {x_low:g}..{x_high:g}, y {y_low:g}..{y_high:g}')


def default_feature(detector: nn.Module) -> str:
    """Name the part of a detector whose output its BEV box head reads.

    Raises:
        ValueError: it has none of mmdet3d's BEV necks and backbones.
    """
    for backbone, neck in PARTS.items():
        for name in (neck, backbone):
            if getattr(detector, name, None) is not None:
                return name
    raise ValueError(
        f'{type(detector).__name__} has none of '
        f'{", ".join(sum(PARTS.items(), ()))}; name the part that computes its '
        "BEV map, e.g. feature='bev_encoder.neck'")


def feature_levels(detector: nn.Module, feature: str) -> list[FeatureLevel]:
    """Derive the levels that a part of a detector returns.

    The extent is that of the voxelization; the channels and cells are those
    that come out when backbone and neck run on torch's meta device, which
    computes shapes alone.

    Args:
        detector: a detector of mmdet3d with voxels or pillars, or
            `ddp.BEVFusion`.
        feature: its BEV backbone or the neck behind it.

    Raises:
        ValueError: the detector's own settings contradict each other, the
            part returns no BEV map, or nothing can be derived.
    """
    backbone = feature if feature in PARTS else next(
        (key for key, neck in PARTS.items() if neck == feature), None)
    if backbone is None or getattr(detector, backbone, None) is None:
        raise ValueError(f'nothing is known of the part {feature!r}')
    limits, cells, axes = _encoder_output(detector)
    rows_cols = cells if axes == 'xy' else cells[::-1]
    outputs = _dry_run([getattr(detector, name)
                        for name in dict.fromkeys([backbone, feature])], rows_cols)
    return [level_of(output, feature, limits, axes) for output in outputs]


def level_of(output: Tensor, feature: str, limits: Sequence[float],
             axes: str) -> FeatureLevel:
    """Describe an output that covers (x_low, y_low, x_high, y_high)."""
    if not isinstance(output, Tensor) or output.dim() != 4:
        what = (f'shape {tuple(output.shape)}' if isinstance(output, Tensor)
                else type(output).__name__)
        raise ValueError(f'detector.{feature} must return BEV maps (B, C, rows, '
                         f'columns), got {what}; name another part with feature=')
    rows, cols = output.shape[2:]
    x_cells, y_cells = (rows, cols) if axes == 'xy' else (cols, rows)
    x_low, y_low, x_high, y_high = limits
    return FeatureLevel(
        output.shape[1], BEVGrid((x_low, x_high, (x_high - x_low) / x_cells),
                                 (y_low, y_high, (y_high - y_low) / y_cells)), axes)


def voxel_limits(detector: nn.Module):
    """Return (x_low, y_low, x_high, y_high) in metres and (nx, ny) voxels.

    Raises:
        ValueError: no voxelization is found, or the range is no whole number
            of voxels.
    """
    preprocessor = getattr(detector, 'data_preprocessor', None)
    found = [layer for layer in (getattr(preprocessor, 'voxel_layer', None),
                                 getattr(detector, 'pts_voxel_layer', None))
             if layer is not None]
    if not found:
        raise ValueError('it has no data_preprocessor.voxel_layer')
    region, size = ([float(value) for value in getattr(found[0], name)]
                    for name in ('point_cloud_range', 'voxel_size'))
    counts = [(region[axis + 3] - region[axis]) / size[axis] for axis in (0, 1)]
    if any(abs(count - round(count)) > 1e-3 for count in counts):
        raise ValueError(
            f'point_cloud_range {region} of its voxel_layer is {counts} voxels of '
            f'voxel_size {size} along x and y, which must be whole numbers')
    return ((region[0], region[1], region[3], region[4]),
            tuple(round(count) for count in counts))


def _encoder_output(detector):
    """Return limits, cells along (x, y) and axis order of the first BEV map."""
    limits, voxels = voxel_limits(detector)
    encoder = next((getattr(detector, name) for name in (
        'pts_middle_encoder', 'middle_encoder')
        if getattr(detector, name, None) is not None), None)
    if encoder is None:
        raise ValueError('it has no pts_middle_encoder')
    kind = type(encoder).__name__
    if hasattr(encoder, 'sparse_shape'):
        order = getattr(encoder, 'coordinate_order', None) or _order_of_shape(
            encoder.sparse_shape, voxels)
        dims = tuple(order.index(axis) for axis in 'xy')
        cells = tuple(encoder.sparse_shape[dim] for dim in dims)
        setting = 'sparse_shape'
    elif hasattr(encoder, 'nx') and hasattr(encoder, 'ny'):
        order, dims = 'zyx', None
        cells, setting = (int(encoder.nx), int(encoder.ny)), 'output_shape'
    else:
        raise ValueError(f'the middle encoder {kind} says neither sparse_shape nor '
                         'output_shape')
    if tuple(cells) != voxels:
        raise ValueError(
            f'{setting} of its {kind} is {cells} along (x, y), but '
            'point_cloud_range and voxel_size of the voxel_layer make '
            f'{voxels}: one of the three keys is wrong')
    if dims is not None:
        cells = tuple(_strided(cells[axis], encoder, dim)
                      for axis, dim in enumerate(dims))
    from ddp_perception.bevfusion.detector import BEVFusion
    axes = 'xy' if isinstance(detector, BEVFusion) or order == 'xyz' else 'yx'
    return limits, cells, axes


def _order_of_shape(shape, voxels):
    """Tell (z, y, x) from (x, y, z) by where the voxels of x and y stand."""
    is_zyx = tuple(shape[1:]) == tuple(voxels[::-1])
    return 'xyz' if tuple(shape[:2]) == tuple(voxels) and not is_zyx else 'zyx'


def _strided(cells, encoder, dim):
    """Follow one dimension through the strided convolutions of an encoder."""
    for conv in encoder.modules():
        if not hasattr(conv, 'subm') or conv.subm:
            continue
        kernel, stride, padding = (list(getattr(conv, name))[dim] for name in (
            'kernel_size', 'stride', 'padding'))
        cells = (cells + 2 * padding - kernel) // stride + 1
    return cells


def _dry_run(modules, rows_cols):
    """Run modules in turn on the meta device; returns the last one's outputs."""
    first = next((conv for conv in modules[0].modules()
                  if isinstance(conv, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f'{type(modules[0]).__name__} has no convolution')
    x = torch.empty(1, first.in_channels, *rows_cols, device='meta')
    for module in modules:
        probe = copy.deepcopy(module).to('meta').eval()
        try:
            with torch.no_grad():
                x = probe(x)
        except Exception as error:  # whatever a foreign part raises
            raise ValueError(
                f'{type(module).__name__} does not run on maps of {tuple(rows_cols)} '
                f'cells without data ({type(error).__name__}: {error})') from error
    return [x] if isinstance(x, Tensor) else list(x)
