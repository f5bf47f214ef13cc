"""Which cells of a prediction are worth another look."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.diffusion.outcomes import Outcome


def cells_to_refine(share: float, prediction: Tensor, before: Tensor | None,
                    outcome: Outcome, size: tuple[int, int]) -> Tensor | None:
    """Return the cells that a further step should decide anew.

    First those that the last step decided otherwise than the step before, then the
    least certain ones: of probabilities those of greatest entropy, of a quantity those
    that changed most.

    Args:
        share: of the cells, in (0, 1].
        prediction: (N, C, H, W) of the last step.
        before: that of the step before, or None.
        outcome: what a prediction says of a cell.
        size: (h, w) cells that can be chosen; one that covers several cells of the
            prediction is as doubtful as the most doubtful of them.

    Returns:
        (N, K) int64, ascending cells of each map, row by row, with K the share
        rounded up; or None for all of them. That is also the answer where nothing
        tells cells apart: for a quantity after a single step.
    """
    cells = math.prod(size)
    count = math.ceil(share * cells)
    if count >= cells or (before is None and not outcome.has_entropy):
        return None
    values = outcome.values(prediction.float())
    changed = torch.zeros_like(values[:, :1])
    doubt = changed
    if outcome.has_entropy:
        doubt = outcome.entropy(values).mean(1, keepdim=True)
    if before is not None:
        former = outcome.values(before.float())
        changed = outcome.differs(former, values).any(1, keepdim=True).to(doubt.dtype)
        if not outcome.has_entropy:
            doubt = (values - former).abs().sum(1, keepdim=True)
    doubt = F.adaptive_max_pool2d(doubt, size)
    # Beyond any doubt, whatever its unit.
    first = F.adaptive_max_pool2d(changed, size) * (1 + doubt.amax((2, 3), True))
    return (doubt + first).flatten(1).topk(count, sorted=False).indices.sort().values
