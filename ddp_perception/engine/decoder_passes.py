"""Say which decoder passes an evaluation's metrics average."""
from __future__ import annotations

import torch
from mmengine.dist import all_reduce, get_backend
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ddp_perception.diffusion import StepCount
from ddp_perception.evaluation.passes import describe_passes
from ddp_perception.prediction_heads import heads_of
from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class DecoderPassesHook(Hook):
    """Log seeds, steps and averaged passes after each validation and test.

    A metric of a diffusion head means little without them: the mean of 12
    passes is no three-step figure. Where images end early (``until_stable``,
    ``time_budget``), how many steps they took on average.
    """

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to count steps."""
        self._forget(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin to count steps."""
        self._forget(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the passes of a validation."""
        self._log(runner)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the passes of a test."""
        self._log(runner)

    def _forget(self, runner: Runner) -> None:
        for head in heads_of(runner.model):
            if hasattr(head, 'step_count'):
                head.step_count = StepCount()

    def _log(self, runner: Runner) -> None:
        for head in heads_of(runner.model):
            text = describe_passes(**head.passes)
            if hasattr(head, 'step_count'):
                head.step_count = _over_processes(head.step_count)
                if head.sampler.stops_early:
                    text += (f', at most: {head.step_count.mean:.3f} steps on average '
                             f'over {head.step_count.images} images or windows')
            runner.logger.info(f'decoder passes of {head.prediction_field}: {text}')


def _over_processes(count: StepCount) -> StepCount:
    """Sum what the processes counted."""
    device = 'cpu' if get_backend() != 'nccl' else 'cuda'
    sums = torch.tensor([count.images, count.steps, count.seconds], device=device,
                        dtype=torch.float64)
    all_reduce(sums)
    images, steps, seconds = sums.tolist()
    return StepCount(int(images), int(steps), seconds)
