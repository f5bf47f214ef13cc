import random
from types import SimpleNamespace

import pytest
import torch
from mmdet3d.structures import Det3DDataSample
from mmengine.structures import PixelData
from torch import nn
from torch.utils.data import DataLoader

from ddp_perception.engine import PictureHook


def _sample(token):
    sample = Det3DDataSample(metainfo={'token': token})
    sample.pred_map_seg = PixelData(data=torch.zeros(6, 10, 12))
    sample.gt_map_seg = PixelData(data=torch.ones(6, 10, 12, dtype=torch.uint8))
    return sample


@pytest.mark.parametrize('stage', ['test', 'val'])
def test_pictures_are_spread_over_the_evaluation(tmp_path, stage):
    loader = DataLoader(list(range(10)), batch_size=1)
    runner = SimpleNamespace(test_dataloader=loader, val_dataloader=loader,
                             model=nn.Identity())
    hook = PictureHook(str(tmp_path / 'out'), limit=3)
    after = getattr(hook, f'after_{stage}_iter')
    for index in range(10):
        after(runner, index, outputs=[_sample(f'token{index}')])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'token0.png', 'token4.png', 'token8.png']


def _draw_batches(hook, count, batch_size):
    """Evaluate samples in batches, as a runner does; return names of files."""
    loader = DataLoader(list(range(count)), batch_size=batch_size)
    runner = SimpleNamespace(test_dataloader=loader, model=nn.Identity())
    for index, batch in enumerate(loader):
        hook.after_test_iter(runner, index, outputs=[
            _sample(f'token{int(number)}') for number in batch])
    return sorted(path.stem for path in hook.out_dir.iterdir())


def test_every_sample_of_a_batch_is_drawn(tmp_path):
    hook = PictureHook(str(tmp_path / 'out'))
    assert _draw_batches(hook, 7, 3) == [f'token{i}' for i in range(7)]


@pytest.mark.parametrize('batch_size', [1, 2, 4, 7, 10])
def test_same_samples_are_drawn_whatever_the_batch(tmp_path, batch_size):
    hook = PictureHook(str(tmp_path / 'out'), limit=3)
    for _ in range(2):  # the second evaluation counts from its own start
        assert _draw_batches(hook, 10, batch_size) == ['token0', 'token4', 'token8']


ODD_PARTS = ('..', '/', '\\', '\0', '\n', ' ', '.', '~', 'a', 'ü', '\ud800', ':', '$',
             'x' * 300)


def _odd_tokens(count):
    """Yield texts out of letters and of what paths, disks and terminals mind."""
    draw = random.Random(0)
    for _ in range(count):
        yield ''.join(draw.choices(ODD_PARTS, k=draw.randint(1, 6)))


def test_pictures_of_odd_tokens_stay_in_their_folder(tmp_path):
    """Each token has its own picture, however odd."""
    folder = tmp_path / 'a' / 'b' / 'out'
    tokens = [*dict.fromkeys(['../../x', '/dev/null', '', '$x^{', '\ud800',
                              *_odd_tokens(8)])]
    loader = DataLoader(list(range(len(tokens))), batch_size=1)
    runner = SimpleNamespace(test_dataloader=loader, model=nn.Identity())
    hook = PictureHook(str(folder), limit=len(tokens))
    for index, token in enumerate(tokens):
        hook.after_test_iter(runner, index, outputs=[_sample(token)])
    assert len(list(folder.iterdir())) == len(tokens)
    assert [path for path in tmp_path.rglob('*') if path.is_file()
            and path.parent != folder] == []


def test_picture_limit_must_be_positive():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        PictureHook('out', limit=0)
