"""What a head costs: parameters and multiplications."""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ddp_perception.study.tasks import Task


@torch.no_grad()
def cost_of(head: Any, task: Task, feats: Tensor) -> dict[str, float]:
    """Count what a prediction of one image takes, as the head samples itself.

    Args:
        head: of the task.
        task: what it predicts.
        feats: (1, C, H, W).

    Returns:
        ``parameters``, and ``gflops``: 10^9 floating-point operations of
        convolutions and matrix products, two for each multiplication with its
        sum. Sampling of attention, norms and activations are not counted.
    """
    with FlopCounterMode(display=False) as counter:
        task.steps(head, feats)
    return {'parameters': sum(item.numel() for item in head.parameters()),
            'gflops': counter.get_total_flops() / 1e9}
