"""What the map segmentation heads share: classes, grids, losses."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ddp_perception.heads.bev_head import BEVHead, Bounds
from ddp_perception.ops import BEVGrid
from ddp_perception.registry import MODELS

FOCAL = dict(type='ddp.MultiLabelFocalLoss')
NUSCENES_GRID = ((-50., 50., 0.5), (-50., 50., 0.5))
"""The map of the nuScenes protocol, metres."""


class MapHead(BEVHead):
    """Base of the heads that segment a bird's-eye-view map.

    Args:
        in_channels, input_grid, bev_axes, keep_steps, keep_seeds, init_cfg: see
            :class:`BEVHead`.
        classes: names of the map classes. They overlap: one sigmoid each.
        output_grid: (x, y) bounds of the map, metres.
        loss: config of a loss with one value per class,
            ``ddp.MultiLabelFocalLoss`` by default.

    Shape:
        masks, logits, probabilities: (B, classes, X, Y) on ``output_grid``.

    Raises:
        ValueError: as :class:`BEVHead`, or truth of another shape.
    """

    truth_field = 'gt_map_seg'
    prediction_field = 'pred_map_seg'
    truth_loader = 'ddp.LoadMapMasks'

    def __init__(self, in_channels: int, classes: Sequence[str], input_grid: Bounds,
                 output_grid: Bounds, *, bev_axes: str = 'xy', loss: dict | None = None,
                 keep_steps: bool = False, keep_seeds: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, input_grid, bev_axes=bev_axes,
                         keep_steps=keep_steps, keep_seeds=keep_seeds,
                         init_cfg=init_cfg)
        if len(set(classes)) != len(classes) or not classes:
            raise ValueError('classes must be distinct names, at least one, '
                             f'got {list(classes)}')
        if loss is not None and not isinstance(loss, dict):
            raise TypeError("loss is a config such as dict(type='ddp."
                            f"MultiLabelFocalLoss', gamma=2.), got {loss!r}")
        self.classes = tuple(classes)
        self.output_grid = BEVGrid.of(output_grid)
        self.map_loss = MODELS.build({**FOCAL, **(loss or {})})

    @classmethod
    def detector_defaults(cls) -> dict[str, Any]:
        """Classes and map of the nuScenes protocol."""
        from ddp_perception.datasets.map_classes import MAP_CLASSES
        return dict(classes=MAP_CLASSES, output_grid=NUSCENES_GRID)

    def check_truth(self, truth: Tensor) -> None:
        """See :class:`BEVHead`."""
        expected = (len(self.classes), *self.output_grid.shape)
        if tuple(truth.shape[1:]) != expected:
            raise ValueError(f'map truth must have the shape {expected} of classes and '
                             f'output_grid, got {tuple(truth.shape[1:])}')

    def objective(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """One loss per class, each a mean over batch and cells."""
        losses = self.map_loss(prediction, truth)
        return {f'loss_map_{name}': loss
                for name, loss in zip(self.classes, losses, strict=True)}

    def meaning(self, prediction: Tensor) -> Tensor:
        """Probabilities of logits."""
        return prediction.sigmoid()
