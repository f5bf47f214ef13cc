"""Say which decoder passes an evaluation's metrics average."""
from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.runner import Runner

from ddp_perception.evaluation.passes import describe_passes
from ddp_perception.prediction_heads import heads_of
from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class DecoderPassesHook(Hook):
    """Log seeds, steps and averaged passes after each validation and test.

    A metric of a diffusion head means little without them: the mean of 12
    passes is no three-step figure.
    """

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the passes of a validation."""
        self._log(runner)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Log the passes of a test."""
        self._log(runner)

    def _log(self, runner: Runner) -> None:
        for head in heads_of(runner.model):
            runner.logger.info(f'decoder passes of {head.prediction_field}: '
                               f'{describe_passes(**head.passes)}')
