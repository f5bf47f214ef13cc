"""Where the BEV features of a detector lie: extent, cell size, axis order.

What follows from a detector need not be said again in the configuration of its
map head: `complete_head` fills it in, or checks it.
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmdet3d.registry import MODELS
from mmengine.config import ConfigDict
from torch import Tensor, nn

from ddp_perception.detectors.axis_order import coordinate_order
from ddp_perception.ops import Axis, BEVGrid

PARTS = {'pts_backbone': 'pts_neck', 'backbone': 'neck'}
"""BEV backbone of mmdet3d's detectors, and the neck behind it."""
ENCODER = 'encoder'
"""Part of `MapPriorSegmentor` that stands for both."""


@dataclass(frozen=True)
class FeatureLevel:
    """One BEV feature map.

    Attributes:
        channels: number of channels.
        grid: its cells, in metres of the LiDAR frame.
        bev_axes: ``'xy'`` for (B, C, X, Y), ``'yx'`` for (B, C, Y, X).
    """

    channels: int
    grid: BEVGrid
    bev_axes: str

    def __str__(self) -> str:
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

    The extent is that of the voxelization, or of the prior map where the
    detector has a ``prior_grid``; the channels and cells are those
    that come out when backbone and neck run on torch's meta device, which
    computes shapes alone.

    Args:
        detector: a detector of mmdet3d with voxels or pillars,
            `ddp.BEVFusion` or `ddp.MapPriorSegmentor`.
        feature: its BEV backbone or the neck behind it; of the last, its
            encoder.

    Raises:
        ValueError: the detector's own settings contradict each other, the
            part returns no BEV map, or nothing can be derived.
    """
    backbone = feature if feature in (*PARTS, ENCODER) else next(
        (key for key, neck in PARTS.items() if neck == feature), None)
    if backbone is None or getattr(detector, backbone, None) is None:
        raise ValueError(f'nothing is known of the part {feature!r}')
    limits, cells, axes = _first_map(detector)
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
        output.shape[1], BEVGrid(Axis(x_low, x_high, (x_high - x_low) / x_cells),
                                 Axis(y_low, y_high, (y_high - y_low) / y_cells)), axes)


def complete_head(head: ConfigDict, detector: nn.Module, feature: str,
                  choose: Callable[[Sequence[FeatureLevel]], Sequence[FeatureLevel]],
                  where: str) -> ConfigDict:
    """Add to a head's configuration what follows from its detector, or check it.

    Args:
        head: config of a `BEVHead`, whose class may have further defaults, see
            `BEVHead.detector_defaults`. Any other head stays as it is.
        detector: see :func:`feature_levels`.
        feature: name of its part whose output the head reads.
        choose: the levels that the head reads; they are concatenated at the
            resolution of the finest.
        where: the feature's name, for messages.

    Returns:
        The configuration, with ``in_channels``, ``input_grid`` and
        ``bev_axes``.

    Raises:
        ValueError: an option contradicts the detector, or is missing where
            nothing can be derived.
    """
    kind = head['type'] if isinstance(head['type'], type) else MODELS.get(head['type'])
    if not hasattr(kind, 'detector_defaults'):  # no BEVHead: takes what it is given
        return head
    for key, value in kind.detector_defaults().items():
        head.setdefault(key, value)
    try:
        levels = feature_levels(detector, feature)
    except ValueError as error:
        missing = [key for key in ('in_channels', 'input_grid', 'bev_axes')
                   if key not in head]
        if missing:
            raise ValueError(
                f'the grid of the BEV features of {type(detector).__name__} could not '
                f'be derived: {error}. Correct it, or give {", ".join(missing)} in '
                'seg_head') from error
        return head
    chosen = choose(levels)
    finest = max(chosen, key=lambda level: level.grid.shape)
    derived = dict(in_channels=sum(level.channels for level in chosen),
                   input_grid=(tuple(finest.grid.xbound), tuple(finest.grid.ybound)),
                   bev_axes=finest.bev_axes)
    for key, value in derived.items():
        given = head.get(key, value)
        if not _same(key, given, value):
            raise ValueError(
                f'seg_head.{key} is {given}, but {where} of {type(detector).__name__} '
                f'returns {value}: {finest}. Remove seg_head.{key}, which is derived')
    head.update(derived)
    return head


def _same(key: str, given: Any, derived: Any) -> bool:
    """Whether an option equals the derived one."""
    if key == 'input_grid':
        return BEVGrid.of(given).is_close(BEVGrid.of(derived))
    return given == derived


def voxel_limits(detector: nn.Module) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return (x_low, y_low, x_high, y_high) in metres and (nx, ny, nz) voxels.

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
    axes = [Axis.of((region[dim], region[dim + 3], size[dim]),
                    'point_cloud_range and voxel_size of its voxel_layer along '
                    + 'xy'[dim]) for dim in (0, 1)]
    layers = round((region[5] - region[2]) / size[2])
    return ((region[0], region[1], region[3], region[4]),
            (axes[0].cells, axes[1].cells, layers))


def _first_map(detector: nn.Module
               ) -> tuple[tuple[float, ...], tuple[int, ...], str]:
    """Return limits, cells along (x, y) and axis order of the first BEV map."""
    prior = getattr(detector, 'prior_grid', None)
    if isinstance(prior, BEVGrid):
        x, y = prior.xbound, prior.ybound
        return (x.low, y.low, x.high, y.high), prior.shape, 'xy'
    lifted = getattr(detector, 'view_transform', None)
    if lifted is not None and getattr(detector, 'pts_voxel_layer', None) is None:
        if not hasattr(lifted, 'output_shape'):
            raise ValueError(f'{type(lifted).__name__} does not say its output_shape')
        x, y, _ = lifted.grid.bounds
        return ((x.low, y.low, x.high, y.high), tuple(lifted.output_shape[1:]), 'xy')
    limits, voxels = voxel_limits(detector)
    encoder = next((getattr(detector, name) for name in (
        'pts_middle_encoder', 'middle_encoder')
        if getattr(detector, name, None) is not None), None)
    if encoder is None:
        raise ValueError('it has no pts_middle_encoder')
    kind = type(encoder).__name__
    if hasattr(encoder, 'sparse_shape'):
        order = coordinate_order(encoder, voxels)
        dims = tuple(order.index(axis) for axis in 'xy')
        cells = tuple(encoder.sparse_shape[dim] for dim in dims)
        setting = 'sparse_shape'
    elif hasattr(encoder, 'nx') and hasattr(encoder, 'ny'):
        order, dims = 'zyx', None
        cells, setting = (int(encoder.nx), int(encoder.ny)), 'output_shape'
    else:
        raise ValueError(f'the middle encoder {kind} says neither sparse_shape nor '
                         'output_shape')
    if tuple(cells) != voxels[:2]:
        raise ValueError(
            f'{setting} of its {kind} is {cells} along (x, y), but '
            'point_cloud_range and voxel_size of the voxel_layer make '
            f'{voxels[:2]}: one of the three keys is wrong')
    if dims is not None:
        cells = tuple(_strided(cells[axis], encoder, dim)
                      for axis, dim in enumerate(dims))
    axes = getattr(detector, 'bev_axes', 'xy' if order == 'xyz' else 'yx')
    return limits, cells, axes


def _strided(cells: int, encoder: nn.Module, dim: int) -> int:
    """Follow one dimension through the strided convolutions of an encoder."""
    for conv in encoder.modules():
        if not hasattr(conv, 'subm') or conv.subm:
            continue
        kernel, stride, padding = (list(getattr(conv, name))[dim] for name in (
            'kernel_size', 'stride', 'padding'))
        cells = (cells + 2 * padding - kernel) // stride + 1
    return cells


def _dry_run(modules: Sequence[nn.Module], rows_cols: Sequence[int]) -> list[Tensor]:
    """Run modules in turn on the meta device; returns the last one's outputs."""
    first = next((conv for conv in modules[0].modules()
                  if isinstance(conv, nn.Conv2d)), None)
    if first is None:
        raise ValueError(f'{type(modules[0]).__name__} has no convolution')
    x = torch.empty(1, first.in_channels, *rows_cols, device='meta')
    for module in modules:
        probe = copy.deepcopy(module).to('meta')
        probe.eval()  # not chained: train() of mmdet's ResNet returns None
        try:
            with torch.no_grad():
                x = probe(x)
        except Exception as error:  # whatever a foreign part raises
            raise ValueError(
                f'{type(module).__name__} does not run on maps of {tuple(rows_cols)} '
                f'cells without data ({type(error).__name__}: {error})') from error
    return [x] if isinstance(x, Tensor) else list(x)
