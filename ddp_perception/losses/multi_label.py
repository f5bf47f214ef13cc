"""Losses of overlapping classes, one figure per class."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from ddp_perception.registry import MODELS


@MODELS.register_module()
class MultiLabelCrossEntropy(nn.Module):
    """Binary cross-entropy of each class, a mean over batch and cells.

    Args:
        loss_weight: factor.

    Shape:
        logits: (B, C, X, Y), before the sigmoid.
        masks: (B, C, X, Y), 0 or 1.
        returns: (C,), computed in float32.
    """

    def __init__(self, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the loss of each class."""
        losses = self.per_cell(logits.float(), masks.float())
        return losses.mean((0, 2, 3)) * self.loss_weight

    def per_cell(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return (B, C, X, Y) losses."""
        return F.binary_cross_entropy_with_logits(logits, masks, reduction='none')


@MODELS.register_module()
class MultiLabelFocalLoss(MultiLabelCrossEntropy):
    """Focal loss of each class, without class weights; otherwise alike.

    Args:
        gamma: how much cells that are right already count less.
        loss_weight: factor.

    Source: arXiv:1708.02002; BEVFusion, arXiv:2205.13542, uses it for maps.
    """

    def __init__(self, gamma: float = 2., loss_weight: float = 1.) -> None:
        super().__init__(loss_weight)
        self.gamma = gamma

    def per_cell(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return (B, C, X, Y) losses."""
        return sigmoid_focal_loss(logits, masks, alpha=-1, gamma=self.gamma)
