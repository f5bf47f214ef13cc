from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import PixelData
from torch.utils.data import DataLoader

from ddp_perception.engine import EpochSeedHook, PictureHook


def _runner(epoch, rank=0, loader=None, seed=7):
    warnings = []
    return SimpleNamespace(
        seed=seed, epoch=epoch, rank=rank, deterministic=False,
        train_dataloader=loader, warnings=warnings,
        logger=SimpleNamespace(warning=warnings.append))


def _numbers(epoch, rank=0):
    EpochSeedHook().before_train_epoch(_runner(epoch, rank))
    return np.random.rand(), torch.rand(()).item()


def test_epoch_seed_repeats_by_epoch_and_differs_between_epochs_and_ranks():
    drawn = {key: _numbers(*key) for key in ((0, 0), (1, 0), (0, 1), (1, 1))}
    assert drawn[1, 0] == _numbers(1, 0)
    for kind in range(2):
        assert len({numbers[kind] for numbers in drawn.values()}) == 4


class _Draws(torch.utils.data.Dataset):

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.random.rand()


def _epoch_of(loader, epoch, seed=7):
    EpochSeedHook().before_train_epoch(_runner(epoch, loader=loader, seed=seed))
    return torch.cat(list(loader)).tolist()


def test_epoch_seed_reaches_worker_processes():
    def loader():
        return DataLoader(_Draws(), num_workers=2, batch_size=2)

    first, second = (_epoch_of(one, epoch) for one, epoch in
                     ((loader(), 0), (loader(), 1)))
    both = loader()
    assert _epoch_of(both, 0) == first and _epoch_of(both, 1) == second
    assert len({*first, *second}) == 8


def test_largest_seed_fits():
    assert len(_epoch_of(DataLoader(_Draws(), num_workers=1), 300, 2 ** 31 - 1)) == 4


def test_epoch_seed_warns_of_persistent_workers():
    loader = DataLoader(_Draws(), num_workers=1, persistent_workers=True)
    runner = _runner(0, loader=loader)
    EpochSeedHook().before_train_epoch(runner)
    assert len(runner.warnings) == 1 and 'persistent' in runner.warnings[0]
    assert loader.worker_init_fn is None


def _sample(token):
    sample = Det3DDataSample(metainfo={'token': token})
    sample.pred_map_seg = PixelData(data=torch.zeros(6, 10, 12))
    sample.gt_map_seg = PixelData(data=torch.ones(6, 10, 12, dtype=torch.uint8))
    return sample


@pytest.mark.parametrize('stage', ['test', 'val'])
def test_pictures_are_spread_over_the_evaluation(tmp_path, stage):
    loader = DataLoader(list(range(10)), batch_size=1)
    runner = SimpleNamespace(test_dataloader=loader, val_dataloader=loader)
    hook = PictureHook(str(tmp_path / 'out'), limit=3)
    after = getattr(hook, f'after_{stage}_iter')
    for index in range(10):
        after(runner, index, outputs=[_sample(f'token{index}')])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'token0.png', 'token4.png', 'token8.png']


def test_picture_limit_must_be_positive():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        PictureHook('out', limit=0)
