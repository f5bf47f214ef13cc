"""What a head costs: parameters and multiplications."""
from __future__ import annotations

from typing import Any

from torch import Tensor

from ddp_perception.cost import gflops_of, parameters_of
from ddp_perception.study.tasks import Task


def cost_of(head: Any, task: Task, feats: Tensor) -> dict[str, float]:
    """Count what a prediction of one image takes, as the head samples itself.

    Args:
        head: of the task.
        task: what it predicts.
        feats: (1, C, H, W).

    Returns:
        ``parameters``, and ``gflops`` as `ddp_perception.cost` counts them.
    """
    return {'parameters': parameters_of(head),
            'gflops': gflops_of(lambda: task.steps(head, feats))}
