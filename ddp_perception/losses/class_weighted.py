"""Cross-entropy whose classes weigh differently."""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.registry import MODELS


@MODELS.register_module()
class ClassWeightedCrossEntropy(nn.Module):
    """Cross-entropy of class labels, a mean weighted by the true class.

    mmseg's own, given class weights, takes no ignored label (of version 1.2): it
    looks that label's weight up.

    Args:
        class_weight: a positive factor per class; only their ratios matter.
        loss_weight: factor.
        loss_name: key in the log; mmseg wants it to begin with ``loss_``.

    Shape:
        logits: (B, K, H, W).
        labels: (B, H, W) integers, 0 to K - 1 or `ignore_index`.
        weight: (B, H, W) factors of mmseg's pixel samplers, or None.
        returns: scalar in float32, 0 where no pixel counts.

    Raises:
        ValueError: a weight that is not positive, or not one per class.
    """

    class_weight: Tensor

    def __init__(self, class_weight: Sequence[float], loss_weight: float = 1.,
                 loss_name: str = 'loss_ce') -> None:
        super().__init__()
        if not all(value > 0 for value in class_weight):
            raise ValueError(f'class_weight must be positive, got {class_weight}')
        self.register_buffer('class_weight', torch.tensor(class_weight).float(),
                             persistent=False)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, logits: Tensor, labels: Tensor, weight: Tensor | None = None,
                ignore_index: int = 255) -> Tensor:
        """Return the mean over the pixels that count."""
        if logits.shape[1] != len(self.class_weight):
            raise ValueError(f'class_weight has {len(self.class_weight)} values for '
                             f'{logits.shape[1]} classes')
        losses = F.cross_entropy(logits.float(), labels, self.class_weight,
                                 ignore_index=ignore_index, reduction='none')
        counts = labels != ignore_index
        shares = self.class_weight[labels.where(counts, 0)] * counts
        if weight is not None:
            losses, shares = losses * weight, shares * weight
        total = shares.sum()
        return self.loss_weight * losses.sum() / total.where(total > 0, 1.)
