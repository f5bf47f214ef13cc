"""Evaluation by many processes of the model that one of them saves."""
from typing import Any

from mmengine.dist import broadcast, is_distributed
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class BroadcastBuffersHook(Hook):
    """Let every process evaluate with the buffers of rank 0, which are saved.

    The running statistics of batch norm differ between processes: each
    follows its own share of the data, and mmengine neither broadcasts them
    in training nor before a validation. Checkpoints hold rank 0's alone, so
    without this hook most frames of a validation are predicted by models that
    no file contains.

    They are broadcast and not averaged (as mmengine's `SyncBuffersHook` does)
    because rank 0 writes a checkpoint on its own, at any time: what it holds
    is the same before and after. Counts of batches, and anything else in the
    state dict that is no parameter, come along unrounded.

    Comes after mmengine's `EMAHook`, which swaps the averaged model in.
    """

    priority = 'LOW'

    def before_val_epoch(self, runner: Runner) -> None:
        """Take over rank 0's buffers."""
        _broadcast_buffers(runner.model)

    def before_test_epoch(self, runner: Runner) -> None:
        """Take over rank 0's buffers, for a test right after a training."""
        _broadcast_buffers(runner.model)


def _broadcast_buffers(model: Any) -> None:
    if not is_distributed():
        return
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    for tensor in model.state_dict(keep_vars=True).values():
        if not isinstance(tensor, nn.Parameter):
            broadcast(tensor)
