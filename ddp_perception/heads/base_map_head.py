"""What the map segmentation heads share: grids, losses, packing."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from ddp_perception.ops import BEVGrid

Scope = BEVGrid | Sequence[Sequence[float]]


class BaseMapHead(BaseModule):
    """Base of the heads that segment a bird's-eye-view map.

    Args:
        in_channels: channels of the BEV features.
        classes: names of the map classes. They overlap: one sigmoid each.
        input_scope: (xbound, ybound) of the features, each (min, max, cell)
            in metres.
        output_scope: the same of the map.
        bev_axes: ``'xy'`` for features (B, C, X, Y), as BEVFusion makes them;
            ``'yx'`` for (B, C, Y, X), as mmdet3d's other detectors do.
        loss: ``'focal'`` (gamma 2, no class weight) or ``'ce'``, per class.
        loss_weight: factor of all losses.
        keep_steps: predictions also give every sampling step's probabilities
            to their sample, for figures by step.

    Shape:
        feats: (B, in_channels, *cells of input_scope), LiDAR frame, or a list
            of exactly one such tensor.
        masks, logits, probabilities: (B, classes, X, Y) on ``output_scope``.

    Raises:
        ValueError: features of another shape than the scope says, missing
            or wrong truth, or an unknown option.
    """

    def __init__(self, in_channels: int, classes: Sequence[str],
                 input_scope: Scope, output_scope: Scope, *,
                 bev_axes: str = 'xy', loss: str = 'focal',
                 loss_weight: float = 1., keep_steps: bool = False,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if bev_axes not in ('xy', 'yx'):
            raise ValueError(f"bev_axes must be 'xy' or 'yx', got {bev_axes!r}")
        if loss not in ('focal', 'ce'):
            raise ValueError(f"loss must be 'focal' or 'ce', got {loss!r}")
        if len(set(classes)) != len(classes) or not classes:
            raise ValueError('classes must be distinct names, at least one, '
                             f'got {list(classes)}')
        self.in_channels = in_channels
        self.classes = tuple(classes)
        self.input_grid = BEVGrid.of(input_scope)
        self.output_grid = BEVGrid.of(output_scope)
        self.bev_axes = bev_axes
        self.loss_name = loss
        self.loss_weight = loss_weight
        self.keep_steps = keep_steps

    @abstractmethod
    def training_logits(self, feats: Tensor, masks: Tensor) -> Tensor:
        """Return logits to train on, given features in (X, Y) order."""

    @abstractmethod
    def probability_steps(self, feats: Tensor) -> list[Tensor]:
        """Return the (B, seeds, classes, X, Y) probabilities of every step."""

    @abstractmethod
    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Make (B, classes, X, Y) probabilities of those of every step."""

    @property
    @abstractmethod
    def passes(self) -> dict:
        """Seeds and steps of a prediction, and how many passes it averages."""

    def bev_features(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Check features and bring them into (X, Y) order."""
        if not isinstance(feats, Tensor):
            if len(feats) != 1:
                raise ValueError('the map head takes one feature level, '
                                 f'got {len(feats)}')
            feats = feats[0]
        feats = feats.mT if self.bev_axes == 'yx' else feats
        expected = (self.in_channels, *self.input_grid.shape)
        if tuple(feats.shape[1:]) != expected:
            raise ValueError(
                f'BEV features must have the shape (B, {expected[0]}, X={expected[1]}, '
                f'Y={expected[2]}) of input_scope, got {tuple(feats.shape)}'
                f'{" after the transpose" if self.bev_axes == "yx" else ""}')
        return feats

    def map_losses(self, logits: Tensor, masks: Tensor) -> dict[str, Tensor]:
        """One loss per class, each a mean over batch and cells."""
        if logits.shape != masks.shape:
            raise ValueError(f'map truth must have the shape {tuple(logits.shape)}, '
                             f'got {tuple(masks.shape)}')
        logits, masks = logits.float(), masks.float()
        if self.loss_name == 'focal':
            losses = sigmoid_focal_loss(logits, masks, alpha=-1, gamma=2)
        else:
            losses = F.binary_cross_entropy_with_logits(logits, masks, reduction='none')
        losses = losses.mean((0, 2, 3)) * self.loss_weight
        return {f'loss_map_{name}': loss
                for name, loss in zip(self.classes, losses, strict=True)}

    def loss(self, feats: Tensor | Sequence[Tensor],
             batch_data_samples: Sequence) -> dict[str, Tensor]:
        """Losses of a batch whose samples hold ``gt_map_seg``."""
        feats = self.bev_features(feats)
        for sample in batch_data_samples:
            if 'gt_map_seg' not in sample:
                raise ValueError('map truth gt_map_seg is missing in the sample '
                                 f'{sample.metainfo.get("token", "?")}: the training '
                                 'pipeline must end with ddp.LoadMapMasks and '
                                 'ddp.PackMapInputs')
        masks = torch.stack([sample.gt_map_seg.data for sample in batch_data_samples])
        masks = masks.to(feats.device)
        expected = (len(self.classes), *self.output_grid.shape)
        if tuple(masks.shape[1:]) != expected:
            raise ValueError(f'map truth must have the shape {expected} of classes and '
                             f'output_scope, got {tuple(masks.shape[1:])}')
        return self.map_losses(self.training_logits(feats, masks), masks)

    def predict(self, feats: Tensor | Sequence[Tensor],
                batch_data_samples: Sequence) -> list[PixelData]:
        """Map probabilities of a batch, float32.

        Every sample gets the metainfo ``decoder_passes``, and with
        ``keep_steps`` the field ``map_step_probs`` (steps, classes, X, Y):
        the mean over seeds of each step.
        """
        steps = self.probability_steps(self.bev_features(feats))
        steps = [step.float() for step in steps]
        probabilities = self.reduce(steps)
        for index, sample in enumerate(batch_data_samples):
            sample.set_metainfo(dict(decoder_passes=self.passes))
            if self.keep_steps:
                sample.set_field(torch.stack([step[index].mean(0) for step in steps]),
                                 'map_step_probs')
        return [PixelData(data=item) for item in probabilities]
