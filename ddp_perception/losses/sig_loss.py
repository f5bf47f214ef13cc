"""Scale-invariant logarithmic loss of depth."""
import torch
from torch import Tensor, nn

from ddp_perception.registry import MODELS


@MODELS.register_module()
class SigLoss(nn.Module):
    """Spread of the log error, and a little of its mean.

    With g = log(prediction + 0.001) - log(truth + 0.001) over the pixels that
    count, the loss is ``loss_weight sqrt(var(g) + 0.15 mean(g)^2)``, with the
    unbiased variance over the whole batch.

    Args:
        valid_mask: count pixels with truth above 0 only.
        loss_weight: factor.
        max_depth: with ``valid_mask``, pixels with truth beyond it do not
            count, metres.
        warm_up: take ``loss_weight sqrt(0.15 mean(g)^2)`` in the first calls,
            which finds the scale before the shape.
        warm_iter: how many calls. The count is part of the state dictionary.
        loss_name: key of the loss; starts with ``loss_`` to count in training.

    Shape:
        prediction, truth: (B, 1, H, W) metres, of any matching shape.
        returns: scalar.

    A single pixel that counts has no variance, and none has no loss: they
    give ``sqrt(0.15) |g|`` and 0. The original gives NaN, which ends the
    training.

    Source: SigLoss of DDP, arXiv:2303.17559; Eigen et al., arXiv:1406.2283.
    """

    calls: Tensor | None

    def __init__(self, valid_mask: bool = True, loss_weight: float = 1.,
                 max_depth: float | None = None, warm_up: bool = False,
                 warm_iter: int = 100, loss_name: str = 'loss_depth') -> None:
        super().__init__()
        self.valid_mask = valid_mask
        self.loss_weight = loss_weight
        self.max_depth = max_depth
        self.warm_iter = warm_iter
        self.loss_name = loss_name
        # Models that do not warm up have no such entry in their checkpoints.
        self.register_buffer('calls', torch.zeros((), dtype=torch.long)
                             if warm_up else None)

    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of one batch."""
        if prediction.shape != truth.shape:
            raise ValueError('depth prediction and truth must have one shape, got '
                             f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
        prediction = prediction.float()
        if self.valid_mask:
            counts = truth > 0
            if self.max_depth is not None:
                counts = counts & (truth <= self.max_depth)
            prediction, truth = prediction[counts], truth[counts]
        if truth.numel() == 0:
            return prediction.sum() * 0
        error = torch.log(prediction + 1e-3) - torch.log(truth + 1e-3)
        square = 0.15 * error.mean().square()
        if not self._warming_up() and error.numel() > 1:
            square = square + error.var()
        # The root has no slope at 0, where nothing is left to learn.
        return self.loss_weight * square.clamp(min=1e-12).sqrt()

    def _warming_up(self) -> bool:
        if self.calls is None or int(self.calls) >= self.warm_iter:
            return False
        self.calls += 1
        return True
