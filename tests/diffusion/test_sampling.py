import re

import pytest
import torch

from ddp_perception.diffusion import (
    NoiseSchedule,
    ancestral,
    ddim_update,
    ddpm_update,
    sample_steps,
    sampling_levels,
    sampling_times,
    seeded_noise,
)
from tests import golden


def _cases():
    reference = golden.load('sampling_times')
    ranges = reference.meta['sample_range']
    for name in reference:
        task, tag = name.split('/')[1:]
        row, steps, difference = re.fullmatch(
            r'(?:sr(\d)_)?T(\d+)_td(\d)', tag).groups()
        yield name, int(steps), int(difference), ranges[int(row or 0)][0]


@pytest.mark.parametrize(('name', 'steps', 'difference', 'lower'), list(_cases()))
def test_times_equal_the_published_ones(name, steps, difference, lower):
    times = torch.tensor(sampling_times(steps, difference, lower))
    torch.testing.assert_close(times, golden.load('sampling_times')[name],
                               rtol=0, atol=1e-7)


@pytest.mark.parametrize('arguments', [dict(num_steps=0), dict(num_steps=2.5),
                                       dict(num_steps=3, lower=1.),
                                       dict(num_steps=3, time_difference=-1)])
def test_times_reject_values_out_of_range(arguments):
    with pytest.raises(ValueError, match=str(list(arguments.values())[-1])):
        sampling_times(**arguments)


def test_ddim_with_a_perfect_denoiser_recovers_the_clean_map():
    clean = torch.rand(2, 3, 4, 5) - 0.5
    noise = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    levels = sampling_levels(NoiseSchedule(), 4, time_difference=0)
    steps = list(sample_steps(lambda z, level: clean, lambda prediction: prediction,
                              noise, levels))
    last = ddim_update(steps[-1].z, clean, *levels[-1])
    # The noise that is left at t = 0 is sigma(0) = 0.003 of the first one.
    torch.testing.assert_close(last, levels[-1][1].mix(clean, noise), atol=1e-4, rtol=0)
    assert (last - clean).abs().max() < 0.02


def test_ddim_step_matches_the_value_worked_by_hand():
    schedule = NoiseSchedule()
    now, nxt = schedule.level(0.8), schedule.level(0.4)
    z, clean = torch.full((1, 1, 2, 3), 0.7), torch.full((1, 1, 2, 3), -0.2)
    noise = (0.7 + 0.2 * now.alpha.item()) / now.sigma.item()
    expected = -0.2 * nxt.alpha.item() + noise * nxt.sigma.item()
    torch.testing.assert_close(ddim_update(z, clean, now, nxt),
                               torch.full((1, 1, 2, 3), expected))


def test_every_step_is_yielded_and_the_last_prediction_is_not_encoded():
    encoded = []

    def encode(prediction):
        encoded.append(prediction)
        return prediction

    levels = sampling_levels(NoiseSchedule(), 3)
    steps = list(sample_steps(lambda z, level: 0.5 * z, encode,
                              torch.ones(1, 1, 2, 2), levels))
    assert len(steps) == 3 and len(encoded) == 2
    assert [step.now.time.item() for step in steps] == pytest.approx([1, 2 / 3, 1 / 3])


def test_items_of_a_batch_stay_apart():
    noise = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    levels = sampling_levels(NoiseSchedule(), 3)

    def last(z):
        return list(sample_steps(lambda z, level: z.tanh(), torch.sin, z, levels)
                    )[-1].prediction

    torch.testing.assert_close(last(noise)[1:2], last(noise[1:2]))


def test_noise_depends_on_the_seed_alone():
    first, more = seeded_noise(2, (4, 5), 1, seed=3), seeded_noise(2, (4, 5), 3, seed=3)
    assert torch.equal(first[0], more[0])
    assert not torch.equal(more[0], more[1])
    assert torch.equal(more, seeded_noise(2, (4, 5), 3, seed=3))
    with pytest.raises(ValueError, match='0'):
        seeded_noise(2, (4, 5), 0)


def test_later_draws_do_not_change_the_first():
    first = seeded_noise(2, (4, 5), 3, seed=3)
    draws = seeded_noise(2, (4, 5), 3, seed=3, num_draws=4)
    assert draws.shape == (4, 3, 2, 4, 5) and torch.equal(draws[0], first)
    assert draws.flatten(1).unique(dim=0).shape[0] == 4


@pytest.mark.parametrize('name', ['cosine', 'linear'])
@pytest.mark.parametrize(('now', 'nxt'), [(0.9, 0.5), (0.4, 0.1), (0.7, 0.65)])
def test_ddpm_draws_from_the_posterior(name, now, nxt):
    # q(z_s | z_t, z_0) is the product of two Gaussians: z_s given z_0, and z_t
    # given z_s, whose factor is alpha_t / alpha_s.
    schedule = NoiseSchedule(name)
    now, nxt = (schedule.level(torch.tensor(time, dtype=torch.float64))
                for time in (now, nxt))
    factor = now.alpha / nxt.alpha
    between = now.sigma ** 2 - factor ** 2 * nxt.sigma ** 2
    precision = 1 / nxt.sigma ** 2 + factor ** 2 / between
    draw = torch.Generator().manual_seed(0)
    z, clean = torch.randn(2, 2, 3, 4, 5, generator=draw, dtype=torch.float64)
    mean = (nxt.alpha * clean / nxt.sigma ** 2 + factor * z / between) / precision
    zero, one = torch.zeros_like(z), torch.ones_like(z)
    torch.testing.assert_close(ddpm_update(z, clean, now, nxt, zero), mean)
    spread = ddpm_update(z, clean, now, nxt, one) - mean
    torch.testing.assert_close(spread, one * precision ** -0.5)


def test_ddpm_adds_no_noise_at_time_zero():
    schedule = NoiseSchedule()
    now, end = schedule.level(0.5), schedule.level(0.)
    z, clean = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    quiet = ddpm_update(z, clean, now, end, torch.zeros_like(z))
    assert torch.equal(ddpm_update(z, clean, now, end, torch.ones_like(z)), quiet)


def test_ancestral_sampling_uses_one_draw_per_update():
    levels = sampling_levels(NoiseSchedule(), 3, time_difference=0)
    noise, *draws = torch.randn(3, 2, 3, 4, 5)
    steps = list(sample_steps(lambda z, level: 0.5 * z, lambda prediction: prediction,
                              noise, levels, ancestral(draws)))
    z = noise
    for index, step in enumerate(steps):
        assert torch.equal(step.z, z)
        if index < 2:
            z = ddpm_update(z, 0.5 * z, *levels[index], draws[index])
