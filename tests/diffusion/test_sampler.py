import copy
import pickle

import pytest
import torch

from ddp_perception.diffusion import Sampler, seeded_noise

CPU = torch.device('cpu')


def test_noise_is_drawn_once_for_every_image_of_a_size():
    sampler = Sampler(num_seeds=2, seed=5)
    first, steps = sampler.noise(3, (4, 5), CPU)
    assert steps is None
    assert sampler.noise(3, (4, 5), CPU)[0].data_ptr() == first.data_ptr()
    assert torch.equal(first, seeded_noise(3, (4, 5), 2, 5))


def test_noise_follows_every_setting_that_it_depends_on():
    sampler = Sampler(num_seeds=2)
    sampler.noise(3, (4, 5), CPU)
    assert sampler.noise(3, (5, 4), CPU)[0].shape == (2, 3, 5, 4)
    sampler.num_seeds, sampler.seed = 1, 9
    assert torch.equal(sampler.noise(3, (5, 4), CPU)[0], seeded_noise(3, (5, 4), 1, 9))
    sampler.method = 'ddpm'
    start, steps = sampler.noise(3, (5, 4), CPU)
    draws = seeded_noise(3, (5, 4), 1, 9, num_draws=3)
    assert torch.equal(torch.stack([start, *steps]), draws)


def test_noise_drawn_in_inference_mode_serves_a_training_step():
    sampler = Sampler()
    with torch.inference_mode():
        sampler.noise(3, (4, 5), CPU)
    noise = sampler.noise(3, (4, 5), CPU)[0]
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (noise * weight).sum().backward()
    torch.testing.assert_close(weight.grad[:, 0, 0], noise.sum((0, 2, 3)))


def test_copies_and_saved_heads_leave_the_noise_behind():
    sampler = Sampler(num_seeds=4, seed=1)
    sampler.noise(64, (32, 32), CPU)
    assert len(pickle.dumps(sampler)) < 1000
    other = copy.deepcopy(sampler)
    assert other == sampler
    assert torch.equal(other.noise(3, (4, 5), CPU)[0], seeded_noise(3, (4, 5), 4, 1))


def test_sampling_may_start_from_less_noise_or_none():
    whole = seeded_noise(3, (4, 5), 1, 0)
    for part in (0., 0.5, 2.):
        sampler = Sampler(initial_noise=part)
        for _ in range(2):  # drawn, and kept
            assert torch.equal(sampler.noise(3, (4, 5), CPU)[0], part * whole)
    sampler = Sampler(num_steps=3, method='ddpm', initial_noise=0.)
    start, steps = sampler.noise(3, (4, 5), CPU)
    assert not start.any()
    assert torch.equal(steps, seeded_noise(3, (4, 5), 1, 0, num_draws=3)[1:])


@pytest.mark.parametrize(('settings', 'message'), [
    (dict(initial_noise=-0.1), 'must not be negative, got -0.1'),
    (dict(initial_noise=float('nan')), 'must not be negative, got nan'),
    (dict(initial_noise=0., num_seeds=4), 'one prediction, got num_seeds=4')])
def test_noise_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampler(**settings)
