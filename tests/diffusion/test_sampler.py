import copy
import pickle

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
