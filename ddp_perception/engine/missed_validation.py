"""Evaluate a checkpoint whose run was stopped before it was evaluated."""
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from ddp_perception.registry import HOOKS


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Make up for a validation that a resumed run would leave out.

    mmengine validates after an epoch or iteration, behind its checkpoint; a
    run that is resumed from that goes on with the next. A run stopped between
    the two would lose the metrics and the best checkpoint, for good where it
    was the last.
    """

    priority = 'LOWEST'  # all others are ready for a validation

    def before_train(self, runner: Runner) -> None:
        """Validate if that was due at the checkpoint and is not in it."""
        loop = runner.train_loop
        if runner.val_loop is None or not isinstance(
                loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
            return
        done, last = _progress(loop)
        if not done or runner.message_hub.get_info('validated') == done:
            return
        loop._decide_current_val_interval()
        if done >= loop.val_begin and (done % loop.val_interval == 0
                                       or done == last):
            runner.logger.info('validating first: the checkpoint was written '
                               'before its validation ended')
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note what was validated; later checkpoints hold it."""
        if isinstance(runner._train_loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
            runner.message_hub.update_info(
                'validated', _progress(runner.train_loop)[0])


def _progress(loop: BaseLoop) -> tuple[int, int]:
    """Return what is done and what is to do, in the loop's own unit."""
    if isinstance(loop, EpochBasedTrainLoop):
        return loop.epoch, loop.max_epochs
    return loop.iter, loop.max_iters
