import pytest
import torch
from torch import nn

from ddp_perception.decoder import (
    Denoiser,
    LabelDiffusion,
    MapDecoder,
    training_maps,
)
from ddp_perception.diffusion import ClassCodec, NoiseSchedule


def _model(**kwargs):
    torch.manual_seed(0)
    denoiser = Denoiser(6, 8, decoder=MapDecoder(8, 2, 2, 2, time_channels=16),
                        predictor=nn.Conv2d(8, 3, 1))
    model = LabelDiffusion(ClassCodec(3, 8, scale=1.), denoiser, **kwargs).eval()
    for parameter in denoiser.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


FEATS = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(3, 8, 5, 7, generator=torch.Generator().manual_seed(2))


def _predictions(model, feats, noise):
    with torch.no_grad():
        return torch.stack([step.prediction
                            for step in model.sample_steps(feats, noise, 3)])


def test_batch_and_seeds_equal_the_loop_over_single_ones():
    model = _model()
    together = _predictions(model, FEATS, NOISE).unflatten(1, (2, 3))
    for image in range(2):
        for seed in range(3):
            alone = _predictions(model, FEATS[image:image + 1], NOISE[seed:seed + 1])
            torch.testing.assert_close(together[:, image, seed], alone[:, 0],
                                       rtol=1e-4, atol=1e-5)


def test_noise_may_differ_between_images():
    model = _model()
    noise = torch.stack([NOISE[:1], NOISE[1:2]])
    both = _predictions(model, FEATS, noise)
    torch.testing.assert_close(both[:, 1:], _predictions(model, FEATS[1:], noise[1:]),
                               rtol=1e-4, atol=1e-5)


def test_the_first_step_is_the_one_step_prediction():
    model = _model()
    one = next(iter(model.sample_steps(FEATS, NOISE, 1))).prediction
    first = next(iter(model.sample_steps(FEATS, NOISE, 3))).prediction
    assert torch.equal(one, first)


def test_noise_of_another_size_is_named():
    with pytest.raises(ValueError, match=r'8, 5, 7\).*\(2, 3, 8, 7, 5\)'):
        next(iter(_model().sample_steps(FEATS, NOISE.mT, 1)))


def test_training_pass_is_one_denoising_of_the_noised_labels():
    model = _model()
    labels = torch.randint(0, 3, (2, 20, 28))
    times, noise = torch.tensor([0.1, 0.8]), torch.randn(2, 8, 5, 7)
    got = model.training_prediction(FEATS, labels, times=times, noise=noise)
    level = model.schedule.level(times)
    z = level.mix(model.codec.encode(labels, (5, 7)), noise)
    for item in range(2):
        single = model.schedule.level(times[item])
        expected = model.denoiser(z[item:item + 1], single,
                                  model.denoiser.condition(FEATS[item:item + 1]))
        torch.testing.assert_close(got[item:item + 1], expected, rtol=1e-4, atol=1e-5)


def test_self_aligned_training_sees_no_label():
    model = _model(training_maps=training_maps('published', True))
    draws = dict(times=torch.tensor([0.3, 0.6]), noise=torch.randn(2, 8, 5, 7))
    first = model.training_prediction(FEATS, torch.zeros(2, 5, 7).long(), **draws)
    second = model.training_prediction(FEATS, torch.ones(2, 5, 7).long(), **draws)
    assert torch.equal(first, second)


def test_a_share_of_the_iterations_is_self_aligned():
    model = _model(training_maps=training_maps('published', 0.25))
    zeros, ones = torch.zeros(2, 5, 7).long(), torch.ones(2, 5, 7).long()
    draw = torch.Generator()

    def prediction(labels, seed):
        return model.training_prediction(FEATS, labels,
                                         generator=draw.manual_seed(seed))
    with torch.no_grad():
        blind = [torch.equal(prediction(zeros, seed), prediction(ones, seed))
                 for seed in range(200)]
        assert 30 <= sum(blind) <= 70
        # Both kinds use the draws of the kinds alone.
        for share, seed in ((True, blind.index(True)), (False, blind.index(False))):
            alone = _model(training_maps=training_maps('published', share))
            alone = alone.training_prediction(FEATS, ones,
                                              generator=draw.manual_seed(seed))
            assert torch.equal(prediction(ones, seed), alone)


@pytest.mark.parametrize('share', [-0.1, 1.5])
def test_another_share_is_refused(share):
    with pytest.raises(ValueError, match=f'0 to 1, got {share}'):
        _model(training_maps=training_maps('published', share))


@pytest.mark.parametrize('seeds', [1, 3])
def test_sampling_may_start_from_a_map(seeds):
    """Two steps from t = 0.6, written out."""
    model = _model(time_difference=0.)
    labels = torch.randint(0, 3, (2, 5, 7), generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        got = list(model.sample_steps(FEATS, NOISE[:seeds], 2, start=(labels, 0.6)))
        condition = model.denoiser.condition(FEATS)
        high, low = (model.schedule.level(torch.tensor(time)) for time in (0.6, 0.3))
        clean = model.codec.encode(labels, (5, 7))[:, None]
        z = (high.alpha * clean + high.sigma * NOISE[None, :seeds]).flatten(0, 1)
        first = model.denoiser(z, high, condition)
        own = model.codec.encode_prediction(first, (5, 7))
        z = low.alpha * own + low.sigma * (z - high.alpha * own) / high.sigma
        second = model.denoiser(z, low, condition)
    assert [float(step.now.time) for step in got] == pytest.approx([0.6, 0.3])
    torch.testing.assert_close(got[0].prediction, first, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[1].prediction, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('time', [0., 1.1])
def test_a_start_at_no_time_is_refused(time):
    with pytest.raises(ValueError, match=f'upper must lie in .*got {time}'):
        next(iter(_model().sample_steps(FEATS, NOISE, 2,
                                        start=(torch.zeros(2, 5, 7).long(), time))))


class _RememberedCast(torch.nn.Conv2d):
    """A convolution under the autocast of torch up to 2025.

    It casts its weight once, with or without a graph, and serves every later
    pass from that cast until the cache is cleared.
    """

    casts = {}

    def forward(self, x):
        if id(self) not in self.casts:
            self.casts[id(self)] = self.weight.bfloat16()
        return self._conv_forward(x.bfloat16(), self.casts[id(self)], None)


def test_self_aligned_training_under_autocast_reaches_every_weight(monkeypatch):
    model = _model(training_maps=training_maps('published', True))
    model.denoiser.predictor = _RememberedCast(8, 3, 1, bias=False)
    clear = torch.clear_autocast_cache
    monkeypatch.setattr(torch, 'clear_autocast_cache',
                        lambda: (clear(), _RememberedCast.casts.clear()))
    with torch.autocast('cpu', torch.bfloat16):
        prediction = model.training_prediction(FEATS, torch.zeros(2, 5, 7).long())
    prediction.float().square().sum().backward()
    missing = [name for name, weight in model.denoiser.named_parameters()
               if weight.grad is None or not weight.grad.abs().sum()]
    assert not missing


def test_a_generator_fixes_the_draws():
    model = _model()
    labels = torch.randint(0, 3, (2, 5, 7))
    first, second = (model.training_prediction(
        FEATS, labels, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    other = model.training_prediction(FEATS, labels,
                                      generator=torch.Generator().manual_seed(6))
    assert not torch.equal(first, other)


def test_the_noise_level_matters():
    model = _model()
    condition = model.denoiser.condition(FEATS)
    early, late = (model.denoiser(NOISE[:2], model.schedule.level(time), condition)
                   for time in (0.1, 0.9))
    assert (early - late).abs().max() > 1e-3


@pytest.mark.parametrize('wrong', [(0.5, 0.5), (-0.1, 1.), (0., 1.1)])
def test_impossible_time_ranges_are_named(wrong):
    with pytest.raises(ValueError, match='sample_range'):
        _model(sample_range=wrong)


def test_features_of_another_width_are_named():
    with pytest.raises(ValueError, match=r'\(B, 6, H, W\).*\(2, 5, 5, 7\)'):
        _model().denoiser.condition(FEATS[:, :5])


def test_autocast_does_not_round_features_that_it_did_not_see():
    """A condition made outside of autocast stays as it is within."""
    torch.manual_seed(0)
    denoiser = Denoiser(4, 16, predictor=torch.nn.Identity(),
                        decoder=MapDecoder(16, 1, 4, 4, time_channels=8)).eval()
    feats, z = 100 + torch.randn(1, 4, 6, 7), torch.zeros(2, 16, 6, 7)
    level = NoiseSchedule().level(torch.tensor(0.5))
    seen = []
    denoiser.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        condition = denoiser.condition(feats)
        with torch.autocast('cpu', torch.bfloat16):
            denoiser(z, level, condition)
    torch.testing.assert_close(seen[0][:1], condition.fused, rtol=1e-6, atol=1e-6)
