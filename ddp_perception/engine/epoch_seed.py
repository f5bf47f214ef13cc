"""Random numbers that depend on the epoch, not on what ran before."""
from functools import partial

from mmengine.dataset.utils import worker_init_fn
from mmengine.hooks import Hook
from mmengine.runner import set_random_seed
from torch.utils.data import DataLoader

from ddp_perception.registry import HOOKS

_EPOCH_STRIDE = 1_000_003  # a prime far above workers x ranks
_SEEDS = 2 ** 31  # NumPy takes 32 bits; ranks and workers add to it


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed every process anew at the start of each training epoch.

    A checkpoint does not hold the state of the random number generators, so
    a resumed run would augment and noise differently from one that was never
    interrupted. With this hook both see the same numbers in every epoch,
    and different ones in each. mmengine's worker processes also start every
    epoch from the same seed; they get the epoch's seed too.

    Covers resuming at the end of an epoch, where mmengine's checkpoints of
    epoch-based training lie. Persistent workers keep their own generators
    over epochs and cannot be seeded from outside: the hook warns.
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        """Seed this process and tell its workers their seed."""
        seed = (runner.seed + _EPOCH_STRIDE * (runner.epoch + 1)) % _SEEDS
        # Ranks differ by more than a worker's number can make up for.
        set_random_seed(seed + 10_007 * runner.rank,
                        deterministic=runner.deterministic)
        loader = runner.train_dataloader
        if not isinstance(loader, DataLoader) or loader.num_workers == 0:
            return
        if loader.persistent_workers:
            if runner.epoch == 0:
                runner.logger.warning(
                    'train_dataloader keeps its workers over epochs: a '
                    'resumed run will augment differently from an '
                    'uninterrupted one; persistent_workers=False makes them '
                    'the same')
            return
        loader.worker_init_fn = partial(
            worker_init_fn, num_workers=loader.num_workers, rank=runner.rank,
            seed=seed)
