"""Random numbers that depend on the iteration, not on what ran before."""
from collections.abc import Iterator

from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler

from ddp_perception.engine.numbered_batches import (
    EndlessBatches,
    NumberedBatches,
    number_batches,
    seed_generators,
)
from ddp_perception.registry import HOOKS

_POSITIONED = (InfiniteSampler, DefaultSampler, SequentialSampler)
_STEP, _VALIDATION = 1, 2  # keep their numbers apart; 0 is that of the samples


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Let a resumed run draw what an uninterrupted one would.

    A checkpoint does not hold the state of the random number generators, so a
    resumed run would augment and noise differently from one that was never
    interrupted. With this hook

    * each process is seeded anew before each iteration, from the run's seed,
      the iteration and its rank;
    * each sample is loaded with generators seeded from the iteration that will
      train on it and its place in the batch, in whatever process that happens;
    * iteration-based training goes on at its place in the order of the data.
      mmengine's loop would load all the samples that it has trained on again.

    Workers may be none, kept over epochs (``persistent_workers``) or not. What
    is not covered is warned of: samplers that keep a state of their own,
    transforms that do (mmdet3d's `ObjectSample`), checkpoints within an epoch
    of epoch-based training, and loaders without batches. A change of the batch
    size or of the number of processes changes the order of the data.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Remember the seed that the sampler was built with."""
        self._first_seed = runner.seed
        self._batches: NumberedBatches | None = None

    def before_train(self, runner: Runner) -> None:
        """Number the batches, and put the data at the first iteration."""
        loop, loader = runner.train_loop, runner.train_dataloader
        known = isinstance(loop, (EpochBasedTrainLoop, IterBasedTrainLoop))
        if isinstance(loader, DataLoader) and known:
            self._batches = number_batches(loader, runner.seed, runner.rank)
        if self._batches is None:
            runner.logger.warning(
                f'{type(loop).__name__} or its train_dataloader has no batches to '
                'be numbered: a resumed run will augment differently from an '
                'uninterrupted one')
            return
        sampler = self._batches.sampler
        if getattr(sampler, 'seed', None) == self._first_seed:
            sampler.seed = runner.seed  # where the checkpoint brought another
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = EndlessBatches(
                loader, self._batches, runner.iter)
        self._warn(runner, loader, sampler)

    def before_train_epoch(self, runner: Runner) -> None:
        """Number the batches of an epoch from the present iteration on."""
        if self._batches is not None and isinstance(runner.train_loop,
                                                    EpochBasedTrainLoop):
            self._batches.begin(runner.iter)

    def before_train_iter(self, runner: Runner, batch_idx: int,
                          data_batch: object = None) -> None:
        """Seed this process for one iteration."""
        seed_generators(runner.seed, _STEP, runner.iter, runner.rank)

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed this process for an evaluation."""
        seed_generators(runner.seed, _VALIDATION, runner.iter, runner.rank)

    def _warn(self, runner: Runner, loader: DataLoader, sampler: object) -> None:
        """Say what a resumed run will not repeat."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and runner.iter != runner.epoch * len(loader):
            runner.logger.warning(
                f'iteration {runner.iter} of the checkpoint is not the end of epoch '
                f'{runner.epoch} of {len(loader)} iterations: it lies within an '
                'epoch, which is begun again, or had other batches')
        if isinstance(sampler, RandomSampler) or not (
                by_epoch or isinstance(sampler, _POSITIONED)):
            runner.logger.warning(
                f'the order of {type(sampler).__name__} cannot be repeated: a '
                'resumed run may see other samples than an uninterrupted one')
        forgets = by_epoch and loader.num_workers and not loader.persistent_workers
        stateful = [] if forgets else sorted(_stateful_transforms(loader.dataset))
        if stateful:
            runner.logger.warning(
                f'{", ".join(stateful)} goes through its objects in an order of its '
                'own, which no checkpoint holds: a resumed run will augment '
                'differently from an uninterrupted one')


def _stateful_transforms(dataset: object) -> Iterator[str]:
    """Yield the names of transforms that remember what they drew."""
    while dataset is not None:
        for transform in getattr(getattr(dataset, 'pipeline', None),
                                 'transforms', ()):
            if hasattr(transform, 'db_sampler'):
                yield type(transform).__name__
        dataset = getattr(dataset, 'dataset', None)
