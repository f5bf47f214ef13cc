from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader, Sampler

from ddp_perception.engine import IterationSeedHook, MissedValidationHook


class _Data(list):
    metainfo = {}


class _Endless(Sampler):
    """Begins anew nowhere in particular."""

    def __init__(self):
        self.numbers = iter([0] * 999)

    def __iter__(self):
        return self.numbers

    def __len__(self):
        return 8


def _runner(loop_type=EpochBasedTrainLoop, epoch=0, iteration=0, loader=None,
            **settings):
    warnings, validated, notes = [], [], {}
    if loader is None:
        data = _Data(range(8))
        loader = DataLoader(data, batch_size=2, sampler=DefaultSampler(data, seed=7))
    runner = SimpleNamespace(
        seed=7, rank=0, visualizer=SimpleNamespace(), warnings=warnings,
        logger=SimpleNamespace(warning=warnings.append, info=lambda text: None),
        message_hub=SimpleNamespace(get_info=notes.get,
                                    update_info=notes.__setitem__),
        validated=validated, train_dataloader=loader)
    total = {'max_epochs': 6} if loop_type is EpochBasedTrainLoop else {
        'max_iters': 24}
    runner.train_loop = runner._train_loop = loop_type(
        runner, loader, **total, **settings)
    runner.train_loop._epoch, runner.train_loop._iter = epoch, iteration
    runner.epoch, runner.iter = epoch, iteration
    runner.val_loop = SimpleNamespace(run=lambda: validated.append(iteration))
    return runner


def _begin(runner):
    hook = IterationSeedHook()
    hook.before_run(runner)
    hook.before_train(runner)
    return hook


def test_iteration_is_seeded_whatever_was_drawn_before():
    def numbers(iteration, rank=0):
        runner = _runner(iteration=iteration)
        runner.rank = rank
        IterationSeedHook().before_train_iter(runner, 0)
        return torch.rand(3).tolist()

    drawn = [numbers(4), numbers(5), numbers(4, rank=1)]
    assert numbers(4) == drawn[0]
    assert len({tuple(of_one) for of_one in drawn}) == 3


@pytest.mark.parametrize('loop', [EpochBasedTrainLoop, IterBasedTrainLoop])
def test_common_trainings_are_covered_without_a_warning(loop):
    epoch = 2 if loop is EpochBasedTrainLoop else 0
    runner = _runner(loop, epoch, iteration=8)
    _begin(runner)
    assert not runner.warnings


def test_what_is_not_covered_is_warned_of():
    within = _runner(epoch=1, iteration=6)  # an epoch has four iterations
    unknown = _runner(IterBasedTrainLoop, loader=DataLoader(
        _Data(range(8)), batch_size=2, sampler=_Endless()))
    shuffled = _runner(loader=DataLoader(_Data(range(8)), shuffle=True))
    no_batches = _runner(loader=DataLoader(_Data(range(8)), batch_size=None))
    stateful = _runner()
    stateful.train_dataloader.dataset.pipeline = SimpleNamespace(
        transforms=[SimpleNamespace(db_sampler=None)])
    for runner, fragment in ((within, 'within an epoch'), (unknown, '_Endless'),
                             (shuffled, 'RandomSampler'),
                             (no_batches, 'no batches to be numbered'),
                             (stateful, 'SimpleNamespace goes through')):
        _begin(runner)
        assert len(runner.warnings) == 1 and fragment in runner.warnings[0]


def test_sampler_takes_the_seed_that_a_checkpoint_brought():
    runner = _runner(epoch=1, iteration=4)
    hook = IterationSeedHook()
    hook.before_run(runner)
    runner.seed = 11
    hook.before_train(runner)
    assert runner.train_dataloader.sampler.seed == 11
    runner.train_dataloader.sampler.seed = 3  # as a configuration may state
    hook.before_run(runner)
    runner.seed = 12
    hook.before_train(runner)
    assert runner.train_dataloader.sampler.seed == 3


@pytest.mark.parametrize('loop, epoch, iteration, settings, due', [
    (EpochBasedTrainLoop, 0, 0, {}, False),
    (EpochBasedTrainLoop, 2, 8, {'val_interval': 2}, True),
    (EpochBasedTrainLoop, 3, 12, {'val_interval': 2}, False),
    (EpochBasedTrainLoop, 6, 24, {'val_interval': 4}, True),  # the last
    (EpochBasedTrainLoop, 2, 8, {'val_interval': 2, 'val_begin': 3}, False),
    (IterBasedTrainLoop, 0, 10, {'val_interval': 5}, True),
    (IterBasedTrainLoop, 0, 11, {'val_interval': 5}, False),
    (IterBasedTrainLoop, 0, 24, {'val_interval': 5}, True),
    (IterBasedTrainLoop, 0, 12, {'val_interval': 5,
                                 'dynamic_intervals': [(11, 4)]}, True)])
def test_validation_is_made_up_for_where_the_loop_would_have_validated(
        loop, epoch, iteration, settings, due):
    runner = _runner(loop, epoch, iteration, **settings)
    MissedValidationHook().before_train(runner)
    assert runner.validated == [iteration] * due


@pytest.mark.parametrize('loop, epoch', [(EpochBasedTrainLoop, 2),
                                         (IterBasedTrainLoop, 0)])
def test_validation_that_the_checkpoint_holds_is_not_repeated(loop, epoch):
    runner = _runner(loop, epoch, 8, val_interval=2)
    hook = MissedValidationHook()
    hook.after_val_epoch(runner)
    hook.before_train(runner)
    assert not runner.validated


def test_run_without_validation_has_none_to_make_up_for():
    runner = _runner(epoch=2, iteration=8, val_interval=2)
    runner.val_loop = None
    MissedValidationHook().before_train(runner)
