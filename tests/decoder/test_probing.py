import pytest
import torch
from torch import nn

from ddp_perception.decoder import Denoiser, LabelDiffusion, MapDecoder
from ddp_perception.decoder.probing import denoise_once, feedback_through, replaced
from ddp_perception.diffusion import OneHotCodec

FEATS = torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(0))
NOISE = torch.randn(3, 4, 4, 6, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(0, 4, (2, 4, 6), generator=torch.Generator().manual_seed(2))


def build(**options):
    torch.manual_seed(0)
    decoder = MapDecoder(8, 1, 2, 2, 16, time_channels=32)
    return LabelDiffusion(OneHotCodec(4), Denoiser(
        5, 4, decoder=decoder, predictor=nn.Conv2d(8, 4, 1)), **options).eval()


@torch.no_grad()
@pytest.mark.parametrize('colour', ['white', 'pink'])
@pytest.mark.parametrize('time', [0.02, 0.5, 1.])
def test_one_pass_from_the_truth_is_that_of_training_at_that_time(time, colour):
    diffusion = build(colour=colour)
    clean = diffusion.codec.encode(LABELS, (4, 6))
    found = denoise_once(diffusion, FEATS, clean, NOISE, time)
    assert found.shape == (2, 3, 4, 4, 6)
    for seed in range(3):
        expected = diffusion.training_prediction(
            FEATS, LABELS, times=torch.full((2, ), time),
            noise=NOISE[seed].expand(2, -1, -1, -1))
        torch.testing.assert_close(found[:, seed], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_pure_noise_without_truth_is_the_first_step_of_sampling():
    diffusion = build()
    found = denoise_once(diffusion, FEATS, torch.zeros(2, 4, 4, 6), NOISE, 1.)
    step = next(iter(diffusion.sample_steps(FEATS, NOISE, 1)))
    torch.testing.assert_close(found.flatten(0, 1), step.prediction,
                               rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_feedback_is_changed_meanwhile():
    diffusion = build()

    def last():
        return list(diffusion.sample_steps(FEATS, NOISE, 3))[-1]
    seen, usual = [], last()

    def zero(clean, index):
        seen.append((index, clean))
        return torch.zeros_like(clean)
    with feedback_through(diffusion, zero):
        changed = last()
    assert [index for index, _ in seen] == [0, 1]
    assert seen[0][1].abs().eq(0.1).all()
    assert not torch.allclose(changed.z, usual.z)
    assert last().z.equal(usual.z)


def test_attributes_come_back_after_an_error():
    holder = nn.Identity()
    holder.own = 1
    for name in ('own', 'forward'):
        with pytest.raises(RuntimeError, match='stop'), replaced(holder, name, 2):
            assert getattr(holder, name) == 2
            raise RuntimeError('stop')
    assert holder.own == 1 and holder(3) == 3 and 'forward' not in vars(holder)
