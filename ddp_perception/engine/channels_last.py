"""Run convolutions in the memory format that a CPU is quicker in."""
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keep the weights of convolutions with the channels last, as features follow.

    On a CPU the backward pass of a depthwise convolution gains most
    (``python -m benchmarks.cpu_training``). Nothing but the order in memory, and
    with it the last bits of sums, differs: checkpoints fit models without this
    hook, and the other way. A seed draws other first weights, for they are drawn in
    the order in memory. See PyTorch's tutorial "Channels Last Memory Format".
    """

    def before_run(self, runner: Runner) -> None:
        """Reorder the weights, before they are drawn or loaded."""
        runner.model.to(memory_format=torch.channels_last)
