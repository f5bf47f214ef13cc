import math

import pytest
import torch

from ddp_perception.diffusion import NoiseSchedule, add_noise
from tests import golden


@pytest.mark.parametrize('name', ['cosine', 'linear'])
@pytest.mark.parametrize('precision', ['f32', 'f64'])
def test_levels_equal_the_published_ones(name, precision):
    reference = golden.load('schedule')
    time = reference['in/t'].double() if precision == 'f64' else reference['in/t']
    level = NoiseSchedule(name).level(time)
    # At t = 1 another order of operations moves log_snr by 0.003. On another processor
    # the last bit of log_snr may differ, by 8 eps near 10; half of that difference is
    # the relative one of alpha.
    for field in ('log_snr', 'alpha', 'sigma'):
        torch.testing.assert_close(
            getattr(level, field), reference[f'out/{field}_{name}_{precision}'],
            **(dict(rtol=8 * torch.finfo().eps, atol=0) if precision == 'f32'
               else dict(rtol=0, atol=1e-12)))


@pytest.mark.parametrize('precision', ['f32', 'f64'])
def test_depth_levels_equal_the_published_gamma(precision):
    reference = golden.load('schedule')
    time = reference['in/t'].double() if precision == 'f64' else reference['in/t']
    gamma = reference[f'out/depth_gamma_{precision}']
    level = NoiseSchedule('cosine_unclamped').level(time)
    torch.testing.assert_close(level.alpha ** 2, gamma, rtol=2e-6, atol=0)
    torch.testing.assert_close(level.sigma, (1 - gamma).sqrt(), rtol=2e-6, atol=0)
    assert (level.sigma > 0).all()
    cosine = NoiseSchedule('cosine').level(time)
    torch.testing.assert_close(cosine.alpha[1:], level.alpha[1:], rtol=2e-6, atol=0)


@pytest.mark.parametrize('name', ['cosine', 'linear', 'cosine_unclamped'])
def test_log_snr_never_rises_with_time(name):
    log_snr = NoiseSchedule(name).log_snr(torch.linspace(0, 1, 1001))
    assert (log_snr.diff() <= 0).all()
    assert (log_snr[100:].diff() < 0).all()


def test_cosine_alpha_is_a_cosine():
    time = torch.linspace(0.1, 0.95, 20, dtype=torch.float64)
    level = NoiseSchedule('cosine').level(time)
    expected = torch.cos((time + 2e-4) / 1.00025 * math.pi / 2)
    torch.testing.assert_close(level.alpha, expected)
    torch.testing.assert_close(level.alpha ** 2 + level.sigma ** 2,
                               torch.ones_like(time))


def test_corrupt_mixes_each_item_at_its_own_level():
    clean, noise = torch.full((2, 3, 4, 5), 2.), torch.full((2, 3, 4, 5), -1.)
    level = NoiseSchedule().level(torch.tensor([0.2, 0.9]))
    noisy = add_noise(clean, noise, level)
    for item in range(2):
        expected = 2 * level.alpha[item] - level.sigma[item]
        torch.testing.assert_close(noisy[item], expected.expand(3, 4, 5))


def test_corrupt_rejects_noise_of_another_shape():
    with pytest.raises(ValueError, match=r'\(1, 3, 4, 5\).*\(1, 3, 5, 4\)'):
        add_noise(torch.zeros(1, 3, 4, 5), torch.zeros(1, 3, 5, 4),
                NoiseSchedule().level(0.5))


def test_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="'quadratic'"):
        NoiseSchedule('quadratic')
