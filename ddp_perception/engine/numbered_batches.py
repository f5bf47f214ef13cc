"""Batches that know which iteration they are for."""
from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.utils import digit_version
from torch.utils.data import DataLoader, Dataset, IterableDataset

_SAMPLE = 0  # keeps the samples' seeds apart from those of whole processes
_LOOP_SKIPS = digit_version(mmengine.__version__) >= digit_version('0.10.3')


def seed_generators(*numbers: int) -> None:
    """Seed Python's, NumPy's and torch's generators of this process.

    Args:
        numbers: none negative. Any change gives unrelated random numbers.
    """
    words = np.random.SeedSequence(numbers).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.manual_seed(int.from_bytes(words[:2].tobytes(), 'little'))


class NumberedBatch(list):
    """The indices of a batch and the iteration that will train on it."""

    def __init__(self, indices: Iterable[int], iteration: int) -> None:
        super().__init__(indices)
        self.iteration = iteration

    def __reduce__(self) -> tuple:
        return NumberedBatch, (list(self), self.iteration)


class NumberedBatches:
    """A batch sampler whose batches are numbered, from any place on.

    Args:
        batches: the batch sampler.
    """

    def __init__(self, batches: Any) -> None:
        self.batches = batches
        self.begin(0)

    def begin(self, iteration: int, skipped: int = 0) -> None:
        """Set where the next pass begins.

        Args:
            iteration: Number of its first batch.
            skipped: How many batches to leave out before.
        """
        self._iteration, self._skipped = iteration, skipped

    def __iter__(self) -> Iterator[NumberedBatch]:
        iteration = self._iteration
        for indices in islice(self.batches, self._skipped, None):
            yield NumberedBatch(indices, iteration)
            iteration += 1

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def sampler(self) -> Any:
        """Of the samples."""
        return self.batches.sampler

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        return self.batches.batch_size

    @property
    def drop_last(self) -> bool:
        """Whether a last batch that is smaller is left out."""
        return self.batches.drop_last


class SeededSamples:
    """Load each sample of a numbered batch with generators of its own.

    torch's loader asks a data set for whole batches by `__getitems__`, in
    workers and without. As an attribute of the data set, this answers there
    and leaves the data set what it is for all others.

    Args:
        dataset: The data set.
        seed: Seed of the run.
        rank: Rank of this process.
    """

    def __init__(self, dataset: Dataset, seed: int, rank: int) -> None:
        self.dataset, self.seed, self.rank = dataset, seed, rank

    def __call__(self, batch: NumberedBatch) -> list:
        """Return the samples of a batch."""
        samples = []
        for place, index in enumerate(batch):
            seed_generators(self.seed, _SAMPLE, batch.iteration, self.rank, place)
            samples.append(self.dataset[index])
        return samples


def number_batches(loader: DataLoader, seed: int, rank: int) -> NumberedBatches | None:
    """Let a loader seed what it loads by the iteration that it is for.

    Args:
        loader: Changed in place. Its workers, if there are any, are started
            anew.
        seed: Seed of the run.
        rank: Rank of this process.

    Returns:
        Tells the loader where to begin. None, and no change, where it makes no
        batches of indices.
    """
    if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
        return None
    batches = loader.batch_sampler
    if not isinstance(batches, NumberedBatches):
        batches = NumberedBatches(batches)
        # torch forbids it since iterators would go on with the old one.
        object.__setattr__(loader, 'batch_sampler', batches)
    loader._iterator = None  # that is, workers that are kept
    dataset: Any = loader.dataset
    dataset.__getitems__ = SeededSamples(dataset, seed, rank)
    return batches


class EndlessBatches:
    """Iterate over a loader for ever, from some iteration on.

    What mmengine's `IterBasedTrainLoop` takes its batches from. The loop asks
    for those that a checkpoint has trained on, to skip them; nothing is loaded
    for these, and None is the answer.

    Args:
        loader: With numbered batches.
        batches: Its batch sampler.
        done: Iterations that were trained.
    """

    def __init__(self, loader: DataLoader, batches: NumberedBatches, done: int) -> None:
        self._loader, self._batches = loader, batches
        self._to_skip = done if _LOOP_SKIPS else 0
        self._iteration = done
        self._iterator: Iterator | None = None

    def __iter__(self) -> EndlessBatches:
        return self

    def __next__(self) -> Any:
        if self._to_skip:
            self._to_skip -= 1
            return None
        if self._iterator is None:
            self._iterator = self._opened()
        try:
            batch = next(self._iterator)
        except StopIteration:
            self._iterator = self._opened()
            batch = next(self._iterator)
        self._iteration += 1
        return batch

    def _opened(self) -> Iterator:
        """Open the loader at the present iteration, reading indices alone."""
        sampler, skipped = self._batches.sampler, self._iteration
        if isinstance(sampler, InfiniteSampler):
            sampler.indices = sampler._indices_of_rank()  # from the first on
        else:
            epoch, skipped = divmod(skipped, len(self._batches))
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(epoch)
        self._batches.begin(self._iteration, skipped)
        return iter(self._loader)
