"""A new task brings a codec and a loss; everything else is there."""
import re

import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from ddp_perception.registry import MODELS
from tests.heads import toy_height_head  # registers ddp.HeightHead

FEATS = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))
HEIGHTS = 3 + FEATS[:, :1].repeat_interleave(4, 2).repeat_interleave(4, 3)


def samples():
    return [BaseDataElement(gt_height=PixelData(data=heights)) for heights in HEIGHTS]


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='ddp.HeightHead', in_channels=6, input_grid=[[0, 5, 1], [0, 7, 1]],
        decoder=dict(channels=8, num_layers=1), **changes))


def test_a_fourth_task_takes_less_than_sixty_lines():
    with open(toy_height_head.__file__) as file:
        assert len(file.readlines()) < 60


def test_the_page_for_contributors_shows_this_very_head(repository_dir):
    page = (repository_dir / 'CONTRIBUTING.md').read_text()
    shown = re.findall(r'```python\n(.*?)```', page, flags=re.DOTALL)
    with open(toy_height_head.__file__) as file:
        assert shown == [file.read()]


@pytest.mark.parametrize('aligned', [False, True])
def test_it_learns(aligned):
    head = build(diffusion=dict(self_aligned=aligned))
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-2)
    losses = []
    for _ in range(60):
        loss = head.loss(FEATS, samples())['loss_height']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    batch = samples()
    with torch.no_grad():
        head.eval().predict(FEATS, batch)
    error = (batch[1].pred_height.data - HEIGHTS[1, :, ::4, ::4]).abs().mean()
    assert error < 0.6 * HEIGHTS.std()


@torch.no_grad()
@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_a_batch_gives_each_item_what_it_gets_alone(method):
    head = build(sampler=dict(num_steps=4, num_seeds=2, method=method)).eval()
    together = head(FEATS)
    assert together.shape == (2, 1, 5, 7)
    torch.testing.assert_close(together[1:], head(FEATS[1:]), rtol=1e-4, atol=1e-5)
    assert head.passes == dict(seeds=2, steps=4, averaged=2)


@torch.no_grad()
def test_given_noise_is_completed_for_the_ancestral_sampler():
    head = build(sampler=dict(method='ddpm', num_seeds=2),
                 diffusion=dict(time_difference=0., scale=1.)).eval()
    noise, step_noise = head.sampler.noise(1, (5, 7), 'cpu')
    torch.testing.assert_close(head(FEATS, noise), head(FEATS))
    torch.testing.assert_close(head(FEATS, noise, step_noise), head(FEATS))
    deterministic = build(diffusion=dict(time_difference=0., scale=1.)).eval()
    with pytest.raises(ValueError, match="step_noise goes with.*method='ddpm'"):
        deterministic(FEATS, noise, step_noise)
