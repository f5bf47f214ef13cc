"""Recipes: which noisy maps a training iteration sees."""
import collections

import pytest
import torch
from torch import nn

from ddp_perception.decoder import (
    RECIPES,
    Denoiser,
    DiffusionOptions,
    LabelDiffusion,
    MapDecoder,
    TrainingMaps,
    training_maps,
)
from ddp_perception.diffusion import (
    ClassCodec,
    EmptyCodec,
    ddim_update,
    pink_noise,
    sampling_levels,
)

FEATS = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(0, 3, (2, 5, 7), generator=torch.Generator().manual_seed(3))


def _model(codec=None, **kwargs):
    torch.manual_seed(0)
    codec = codec or ClassCodec(3, 8, scale=1.)
    denoiser = Denoiser(6, codec.channels, decoder=MapDecoder(
        8, 2, 2, 2, time_channels=16 if codec.channels else None),
        predictor=nn.Conv2d(8, 3, 1))
    for parameter in denoiser.parameters():
        nn.init.normal_(parameter, std=0.3)
    return LabelDiffusion(codec, denoiser, **kwargs).eval()


class _Watched:
    """What a denoiser was given."""

    def __init__(self, model):
        self.seen = []
        model.denoiser.register_forward_pre_hook(
            lambda module, args: self.seen.append(
                (args[0], float(args[1].time.max()), torch.is_grad_enabled())))


@pytest.mark.parametrize('shares', [
    dict(truth=0.2, self_aligned=0.1, noise=0.3, own_steps=0.4),
    dict(truth=1., self_aligned=0., noise=0.7, own_steps=0.3),
    dict(truth=0.5, self_aligned=0.6, noise=0.6, own_steps=0.3)])
def test_kinds_are_drawn_by_their_shares(shares):
    maps = TrainingMaps(**shares)
    generator = torch.Generator().manual_seed(0)
    drawn = [maps.draw(generator, torch.device('cpu')) for _ in range(4000)]
    counts = collections.Counter(kind for kinds in drawn for kind in kinds)
    for kind, share in shares.items():
        deviation = (share * (1 - share) / 4000) ** 0.5
        assert abs(counts[kind] / 4000 - share) <= 4 * deviation
    passes = round(sum(shares.values()))
    assert {len(kinds) for kinds in drawn} == {passes} == {maps.passes}
    assert {len(set(kinds)) for kinds in drawn} == {passes}


def test_the_published_recipe_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert training_maps('published').draw(generator, torch.device('cpu')) == ['truth']
    assert torch.equal(generator.get_state(), before)


def test_pure_noise_is_the_first_step_of_a_sampling():
    model = _model(training_maps=training_maps(dict(noise=1.)))
    noise = torch.randn(2, 8, 5, 7)
    got = model.training_prediction(FEATS, LABELS, noise=noise)
    first = next(iter(model.sample_steps(FEATS, noise[:, None], 3))).prediction
    # At t = 1 the truth is left with a share of less than a thousandth.
    torch.testing.assert_close(got, first, rtol=0, atol=5e-3)
    assert not torch.equal(got, first)


def test_own_steps_are_the_states_of_the_sampler():
    model = _model(training_maps=training_maps(dict(own_steps=1.)))
    found = set()
    for seed in range(12):
        noise = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(seed))
        watched = _Watched(model)
        model.training_prediction(FEATS, LABELS, noise=noise,
                                  generator=torch.Generator().manual_seed(seed))
        z, time, with_graph = watched.seen[-1]
        assert with_graph and not any(graph for *_, graph in watched.seen[:-1])
        with torch.no_grad():
            states = {(steps, index): step
                      for steps in range(2, 6) for index, step in enumerate(
                          model.sample_steps(FEATS, noise[:, None], steps)) if index}
        same = [key for key, step in states.items()
                if float(step.now.time) == pytest.approx(time)
                and torch.allclose(step.z, z, rtol=1e-4, atol=1e-5)]
        assert same
        found.update(same)
    assert len(found) > 3


def test_own_steps_see_no_label_and_teach_every_weight():
    model = _model(training_maps=training_maps(dict(own_steps=1.))).train()
    draws = [dict(noise=torch.ones(2, 8, 5, 7),
                  generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    first = model.training_prediction(FEATS, LABELS, **draws[0])
    second = model.training_prediction(FEATS, (LABELS + 1) % 3, **draws[1])
    assert torch.equal(first, second)
    first.square().sum().backward()
    assert not [name for name, weight in model.named_parameters()
                if weight.grad is None or not weight.grad.abs().sum()]


def test_draws_of_an_image_follow_pass_by_pass():
    noise, times = torch.randn(4, 8, 5, 7), torch.tensor([0.3, 0.6])
    both = _model(training_maps=training_maps(dict(truth=1., noise=1., draws=2)))
    got = both.training_prediction(FEATS, LABELS, times=times, noise=noise)
    got = got.unflatten(0, (2, 2, 2))  # images, passes, draws
    for index, kind in enumerate(('truth', 'noise')):
        one = _model(training_maps=training_maps({kind: 1.}))
        for draw in range(2):
            torch.testing.assert_close(got[:, index, draw], one.training_prediction(
                FEATS, LABELS, times=times, noise=noise[draw::2]), rtol=1e-4, atol=1e-5)


def test_draws_of_own_steps_are_states_of_one_step():
    model = _model(training_maps=training_maps(dict(own_steps=1., draws=3)))
    watched = _Watched(model)
    levels = []
    model.denoiser.register_forward_pre_hook(
        lambda module, args: levels.append(args[1].time.unique()))
    model.training_prediction(FEATS, LABELS)
    assert {len(level) for level in levels} == {1}
    z = watched.seen[-1][0].unflatten(0, (2, 3))
    assert (z[:, 0] - z[:, 1]).abs().amin((1, 2, 3)).max() > 0


def test_a_decoder_without_noisy_map_hears_of_features_alone():
    model = _model(EmptyCodec())
    got = model.training_prediction(FEATS, LABELS)
    assert torch.equal(got, model.training_prediction(FEATS, (LABELS + 1) % 3))
    steps = list(model.sample_steps(FEATS, torch.zeros(2, 0, 5, 7), 2))
    for step in steps:
        together = step.prediction.unflatten(0, (2, 2))
        torch.testing.assert_close(together[:, 0], got, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together[:, 1], got, rtol=1e-4, atol=1e-5)
    fuse = model.denoiser.fuse
    assert fuse.in_channels == 6


@pytest.mark.parametrize('name', sorted(RECIPES))
def test_a_recipe_may_be_written_as_its_shares(name):
    shares = {kind: share for kind, share in RECIPES[name].shares().items() if share}
    shares |= {other: getattr(RECIPES[name], other)
               for other in ('draws', 'rollout', 'dropout')}
    assert DiffusionOptions(recipe=shares).training_maps == RECIPES[name]
    assert DiffusionOptions(recipe=name).training_maps == RECIPES[name]


@pytest.mark.parametrize(('options', 'message'), [
    (dict(recipe='publishd'), "one of .*'on_policy', 'published'.*'publishd'"),
    (dict(recipe=dict(noise=0.5)), 'must sum to 1, .* got 0.5'),
    (dict(recipe=dict(noise=1., draws=0)), 'draws is a whole number .* got 0'),
    (dict(recipe=dict(noise=0.5, truth=1.)), 'must sum to 1, .* got 1.5'),
    (dict(recipe=dict()), 'must sum to 1, .* got 0'),
    (dict(recipe=dict(noise=1.5, truth=-0.5)), 'truth is a share .* got -0.5'),
    (dict(recipe=dict(nois=1.)), "shares of .*'noise'.*got ..nois"),
    (dict(recipe='on_policy', self_aligned=0.5), 'self_aligned=0.5 is for the'),
    (dict(self_aligned=1.5), '0 to 1, got 1.5'),
    (dict(noisy_map=False, recipe='on_policy'), 'no noisy maps to train on')])
def test_another_recipe_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DiffusionOptions(**options)


def test_pink_noise_is_used_in_training_and_sampling():
    white, pink = _model(), _model(colour='pink')
    noise = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(9))
    coloured = pink_noise(noise)
    assert not torch.equal(coloured, noise)
    times = torch.tensor([0.3, 0.9])
    torch.testing.assert_close(
        pink.training_prediction(FEATS, LABELS, times=times, noise=noise),
        white.training_prediction(FEATS, LABELS, times=times, noise=coloured))
    for one, other in zip(pink.sample_steps(FEATS, noise[:, None], 3),
                          white.sample_steps(FEATS, coloured[:, None], 3), strict=True):
        torch.testing.assert_close(one.prediction, other.prediction)


def test_another_colour_is_refused():
    with pytest.raises(ValueError, match="one of .*'pink', 'white'.*got 'brown'"):
        _model(colour='brown')


def test_passes_of_an_iteration_are_those_of_single_recipes():
    times = torch.tensor([0.3, 0.8])
    noise = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(9))

    def prediction(recipe):
        return _model(training_maps=training_maps(recipe)).training_prediction(
            FEATS, LABELS, times=times, noise=noise,
            generator=torch.Generator().manual_seed(4))
    together = prediction('unrolled').unflatten(0, (2, 3))
    for index, kind in enumerate(('truth', 'noise', 'own_steps')):
        torch.testing.assert_close(together[:, index], prediction({kind: 1.}),
                                   rtol=1e-4, atol=1e-5)


def test_a_rollout_takes_steps_of_the_sampler_and_teaches_the_first_by_the_last():
    model = _model(training_maps=training_maps('rollout'), feedback='expected')
    jumps = set()
    for seed in range(12):
        noise = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(seed))
        given = []
        handle = model.denoiser.register_forward_pre_hook(
            lambda module, args, given=given: given.append(args[:2]))
        got = model.training_prediction(FEATS, LABELS, noise=noise,
                                        generator=torch.Generator().manual_seed(seed))
        handle.remove()
        assert got.shape == (2 * 4, 3, 5, 7)
        passes = got.unflatten(0, (2, 4))  # truth, then three steps
        _, (first, _), *later = given
        assert torch.equal(first, noise)
        z, before, went = noise, passes[:, 1], []
        for number, (maps, level) in enumerate(later, 2):
            clean = model.codec.encode_expected(before, (5, 7))
            here = [(steps, index) for steps in range(3, 11) for index in range(steps)
                    if float(sampling_levels(model.schedule, steps, 1., 0.)[index][0]
                             .time) == pytest.approx(float(level.time.max()))]
            fits = [(steps, index) for steps, index in here if index and torch.allclose(
                maps, ddim_update(z, clean, went[-1] if went else
                                  model.schedule.level(torch.ones(())),
                                  sampling_levels(model.schedule, steps, 1., 0.)[
                                      index - 1][1]), rtol=1e-4, atol=1e-5)]
            assert fits
            jumps.add(fits[0])
            z, before = maps, passes[:, number]
            went.append(level)
        last = torch.autograd.grad(passes[:, 3].square().sum(), later[0][0],
                                   allow_unused=True)[0]
        assert last is not None and last.abs().sum() > 0
    assert len(jumps) > 8


def test_a_rollout_sees_labels_in_the_pass_of_the_truth_alone():
    model = _model(training_maps=training_maps(dict(truth=1., rollout=2)),
                   feedback='expected')
    first, second = (model.training_prediction(
        FEATS, labels, noise=torch.ones(2, 8, 5, 7),
        generator=torch.Generator().manual_seed(5)).unflatten(0, (2, 3))
        for labels in (LABELS, (LABELS + 1) % 3))
    assert torch.equal(first[:, 1:], second[:, 1:])
    assert not torch.equal(first[:, 0], second[:, 0])


@pytest.mark.parametrize('rollout', [-1, 1, 2.5, True])
def test_a_rollout_of_no_such_length_is_refused(rollout):
    with pytest.raises(ValueError, match=f'rollout.*got {rollout}'):
        TrainingMaps(rollout=rollout)


def test_a_feedback_of_no_such_name_is_refused():
    with pytest.raises(ValueError, match="'decided', 'expected'.*got 'mean'"):
        _model(feedback='mean')


def test_steps_of_a_rollout_but_the_last_do_without_some_channels():
    model = _model(training_maps=training_maps(
        dict(truth=1., rollout=3, dropout=0.4)), feedback='expected')
    given, feats = [], torch.ones(2, 6, 5, 7)
    condition = model.denoiser.condition
    model.denoiser.condition = lambda some: (given.append(some), condition(some))[1]
    generator, counts = torch.Generator().manual_seed(0), []
    for _ in range(40):
        given.clear()
        model.training_prediction(feats, LABELS, generator=generator)
        whole, *parts = given
        assert torch.equal(whole, feats) and len(parts) == 2
        for part in parts:
            assert torch.equal(part, part[:, :, :1, :1].expand_as(part))
            kept = part[:, :, 0, 0] > 0
            torch.testing.assert_close(part[:, :, 0, 0], kept / 0.6)
            counts.append(kept.float().mean())
    deviation = (0.4 * 0.6 / (80 * 12)) ** 0.5
    assert abs(torch.stack(counts).mean() - 0.6) < 4 * deviation


@pytest.mark.parametrize(('options', 'message'), [
    (dict(rollout=2, dropout=1.), 'dropout is a share .* got 1.0'),
    (dict(dropout=.1), 'dropout .* without one')])
def test_a_dropout_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingMaps(**options)
