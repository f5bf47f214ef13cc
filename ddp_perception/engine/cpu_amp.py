"""Mixed precision training on a CPU."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from ddp_perception.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Run the forward pass of training in bfloat16 where there is no GPU.

    mmengine's `AmpOptimWrapper` asserts a GPU. bfloat16 has float32's range,
    so losses are not scaled. Weights, gradients and the optimizer's state
    stay float32.

    Args:
        optimizer: as in mmengine's `OptimWrapper`.
        accumulative_counts: iterations whose gradients are summed.
        clip_grad: settings of gradient clipping.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, accumulative_counts: int = 1,
                 clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts,
                         clip_grad=clip_grad)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Accumulate gradients as mmengine does, in bfloat16."""
        with (super().optim_context(model),
              torch.autocast('cpu', dtype=torch.bfloat16)):
            yield
