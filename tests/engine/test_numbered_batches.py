import pickle
import random
import time

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ddp_perception.engine.numbered_batches import (
    EndlessBatches,
    NumberedBatch,
    number_batches,
    seed_generators,
)


class _Draws(Dataset):
    """A sample is its index and a random number of each library."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return np.array([index, random.random(), np.random.rand(),
                         torch.rand((), dtype=torch.float64).item()])


def _endless(done, seed=3, rank=0, size=7, **settings):
    dataset = _Draws(size)
    loader = DataLoader(dataset, batch_size=2,
                        sampler=InfiniteSampler(dataset, seed=5), **settings)
    return EndlessBatches(loader, number_batches(loader, seed, rank), done)


def _take(batches, number):
    drawn = [next(batches) for _ in range(number)]
    assert all(batch is None for batch in drawn[:-3])
    return torch.stack(drawn[-3:])


def test_seeds_depend_on_every_number_and_reach_every_library():
    def drawn(*numbers):
        seed_generators(*numbers)
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    seen = [drawn(*numbers) for numbers in (
        (1, 2, 3), (0, 2, 3), (1, 3, 2), (1, 2, 2 ** 31 - 1), (1, 2))]
    for of_one_library in zip(*seen, strict=True):
        assert len(set(of_one_library)) == len(seen)


@pytest.mark.parametrize('settings', [
    {}, {'num_workers': 1}, {'num_workers': 2},
    {'num_workers': 2, 'persistent_workers': True}])
def test_samples_are_the_same_from_any_iteration_on_and_in_any_process(settings):
    batches = _endless(0)
    drawn = torch.stack([next(batches) for _ in range(9)])
    assert len(drawn.flatten().unique()) > 3 * 18  # none drawn twice
    order = [int(index) for index in drawn[..., 0].flatten()]
    assert sorted(order[:7]) == sorted(order[7:14]) == list(range(7))
    assert torch.equal(_take(_endless(6, **settings), 9), drawn[6:])
    assert torch.equal(_take(_endless(0, **settings), 3), drawn[:3])


def test_runs_and_ranks_draw_different_numbers():
    first, run, rank = (_take(_endless(0, **which), 3)
                        for which in ({}, {'seed': 4}, {'rank': 1}))
    assert torch.equal(first[..., 0], rank[..., 0])  # the sampler's affair
    assert not (first[..., 1:] == run[..., 1:]).any()
    assert not (first[..., 1:] == rank[..., 1:]).any()


def test_each_epoch_of_workers_that_are_kept_draws_other_numbers():
    loader = DataLoader(_Draws(6), batch_size=2, num_workers=2,
                        persistent_workers=True)
    batches = number_batches(loader, 3, 0)
    epochs = []
    for iteration in (0, 3, 0):
        batches.begin(iteration)
        epochs.append(torch.stack(list(loader)))
    assert torch.equal(epochs[0], epochs[2])
    assert not (epochs[0][..., 1:] == epochs[1][..., 1:]).any()


def test_numbering_replaces_workers_that_were_started_before():
    dataset = _Draws(7)
    loader = DataLoader(dataset, batch_size=2, num_workers=2,
                        persistent_workers=True,
                        sampler=InfiniteSampler(dataset, seed=5))
    next(iter(loader))  # as mmengine's loop does before a checkpoint is read
    batches = EndlessBatches(loader, number_batches(loader, 3, 0), 4)
    assert torch.equal(_take(batches, 7), _take(_endless(4), 7))


def test_numbering_twice_counts_once():
    loader = DataLoader(_Draws(6), batch_size=2)
    once = torch.stack(list(loader)) if number_batches(loader, 3, 0) else None
    again = number_batches(loader, 3, 0)
    assert torch.equal(torch.stack(list(loader)), once)
    assert not hasattr(again.batches, 'batches')


def test_loaders_without_batches_of_indices_are_left_alone():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(4))

    for loader in (DataLoader(Stream()), DataLoader(_Draws(4), batch_size=None)):
        before = loader.batch_sampler
        assert number_batches(loader, 0, 0) is None
        assert loader.batch_sampler is before


def test_numbered_batch_travels_to_other_processes():
    batch = pickle.loads(pickle.dumps(NumberedBatch([4, 2], 7)))
    assert batch == [4, 2] and batch.iteration == 7


def test_far_iteration_is_reached_in_seconds():
    begin = time.perf_counter()
    batches = _endless(160_000, size=3000)
    for _ in range(160_000):
        assert next(batches) is None
    next(batches)
    assert time.perf_counter() - begin < 5
