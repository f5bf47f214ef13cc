"""Heads whose behaviour is known give what is known."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ddp_perception.probing import Figure, Probe, ProbeOptions, ProbeResult, sentences
from tests.probing import toy

ERROR = Figure('mae', 'less')


def probed(model, sizes=(2, 3), options=None):
    probe = Probe(model, options)
    metrics = toy.evaluators(probe)
    count = sum(probe.process(batch, metrics) for batch in toy.batches(*sizes))
    figures = {key: metric.evaluate(count) for key, metric in metrics.items()}
    return ProbeResult(ERROR, probe.measured(figures), count, 'm')


def following(**head):
    model = toy.HeightModel(**head)
    model.head.diffusion.denoiser = toy.Follow()
    return model


def test_a_head_that_ignores_the_map_shows_no_effect_at_all():
    model = toy.HeightModel()
    toy.ignore_the_map(model.head)
    result = probed(model)
    for item in [result.of('zeros'), result.of('feedback'), *result.group('truth')]:
        assert item.apart == 0
        assert result.gain(item) == pytest.approx(0, abs=1e-6)
    assert result.of('seeds').apart == 0
    assert result.of('seeds').spread < 1e-6
    # The time still tells: one pass at another time is another prediction.
    values = [result.value(item) for item in result.group('no_truth')]
    assert max(values) - min(values) > 1e-4
    assert sentences(result)[0].startswith(
        'The noisy map has no influence on this model: another seed changes 0 %')


def test_a_head_that_follows_the_map_shows_large_effects():
    result = probed(following())
    almost = result.of('truth_0.02')
    assert result.value(almost) < 0.2 < 1 < result.value(result.of('steps_1'))
    assert result.gain(almost) > 0.8
    assert result.gain(almost) > 3 * abs(result.gain(result.of('truth_0.9')))
    assert almost.apart > 0.9
    assert result.of('seeds').apart > 0.9
    assert sentences(result)[0].startswith('The noisy map guides this model: from the '
                                           'noised truth at t = 0.02 mae is')


def test_seeds_are_compared_in_pairs_and_scatter_as_their_noise():
    model = following(sampler=dict(num_steps=2))
    noise = torch.cat([torch.randn(
        1, *toy.SIZE, generator=torch.Generator().manual_seed(seed))[None]
        for seed in range(4)])
    # The second of two steps reads the first one's map; sampling ends at time 0,
    # where the cosine schedule leaves 0.3 % of the noise.
    maps = 0.3 * (toy.features()[:, None, :1] + noise)
    apart = [(maps[:, i] - maps[:, j]).abs()
             > 0.01 * torch.maximum(maps[:, i].abs(), maps[:, j].abs())
             for i in range(4) for j in range(i)]
    seeds = probed(model).of('seeds')
    assert seeds.apart == pytest.approx(float(torch.stack(apart).float().mean()),
                                        abs=0.02)
    expected = ((maps - maps.mean(1, keepdim=True)) ** 2).mean(1).sqrt().mean()
    assert seeds.spread == pytest.approx(float(expected), rel=0.04)


def test_feedback_is_the_map_of_the_image_before():
    predicted = {}
    probe = Probe(following(sampler=dict(num_steps=2)))
    for batch in toy.batches(2, 3):
        for variation, samples in probe.predictions(batch):
            predicted.setdefault(variation.key, []).extend(
                sample.pred_height.data for sample in samples)
    own = torch.stack(predicted['steps_2'])
    other = torch.stack(predicted['feedback'])
    torch.testing.assert_close(other[1:], own[:-1], rtol=0, atol=0.03)
    torch.testing.assert_close(other[0], own[0].flip(-2, -1), rtol=0, atol=0.03)


@pytest.mark.parametrize('sampler', [
    dict(num_steps=3), dict(num_steps=1, num_seeds=2),
    dict(num_steps=4, num_seeds=2, average='all', method='ddpm', seed=5)])
def test_steps_are_what_a_head_of_that_many_steps_predicts(sampler):
    result = probed(toy.HeightModel(sampler=sampler), options=ProbeOptions([2, 5]))
    own = max(sampler['num_steps'], 2)
    assert {int(run.value) for run in result.group('steps')} == {1, 2, 5, own}
    for run in result.group('steps'):
        model = toy.HeightModel(sampler={**sampler, 'num_steps': int(run.value)}).eval()
        with torch.no_grad():
            batch, = toy.batches(5)
            samples = model.test_step(batch)
        errors = [(sample.pred_height.data - sample.gt_height.data).abs().mean()
                  for sample in samples]
        assert result.value(run) == pytest.approx(float(sum(errors) / 5), rel=1e-5)


def test_limits_of_sampling_are_off_and_its_uncertainty_stays():
    model = toy.HeightModel(sampler=dict(
        num_steps=3, until_stable=1., time_budget=1e-9, uncertainty='changes'))
    probe = Probe(model)
    batch, = toy.batches(5)
    found = {item.key: samples[0] for item, samples in probe.predictions(batch)}
    plain = toy.HeightModel(sampler=dict(num_steps=3)).eval()
    with torch.no_grad():
        expected = plain.test_step(batch)[0].pred_height.data
    torch.testing.assert_close(found['steps_3'].pred_height.data, expected)
    assert found['steps_3'].metainfo['uncertainty'] == 'changes'
    assert 'uncertainty' not in found['steps_1'].metainfo


@pytest.mark.parametrize('make', [toy.HeightModel, following])
def test_batches_change_nothing(make):
    results = [probed(make(), sizes) for sizes in ((5, ), (1, ) * 5, (3, 2))]
    for result in results[1:]:
        for one, other in zip(results[0].measured, result.measured, strict=True):
            assert one.key == other.key and one.metrics['count'] == 5
            assert one.metrics['mae'] == pytest.approx(other.metrics['mae'], rel=1e-5)
            assert one.apart == pytest.approx(other.apart, abs=0.006, nan_ok=True)
            assert one.spread == pytest.approx(other.spread, rel=1e-4, abs=1e-7,
                                               nan_ok=True)


def test_features_are_computed_once_per_batch_and_all_is_as_before():
    model = toy.HeightModel()
    sampler = model.head.sampler
    probe = Probe(model)
    batch, = toy.batches(5)
    assert probe.process(batch, toy.evaluators(probe)) == 5
    assert model.asked == 1
    assert model.head.sampler is sampler
    assert not {'prediction_steps', 'extract_feat', 'feedback'} & {
        *vars(model), *vars(model.head), *vars(model.head.diffusion)}
    assert 'pred_height' not in batch['data_samples'][0]


def test_a_model_that_does_not_ask_its_extract_feat_gives_the_same():
    class Tapped(toy.HeightModel):

        def forward(self, inputs, data_samples, mode='predict'):
            self.head.predict(inputs['feats'], data_samples)
            return data_samples
    usual, tapped = probed(toy.HeightModel()), probed(Tapped())
    for one, other in zip(usual.measured, tapped.measured, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-5)


def test_without_the_oracle_no_truth_is_needed():
    probe = Probe(toy.HeightModel(), ProbeOptions(oracle=False))
    batch, = toy.batches(5)
    for sample in batch['data_samples']:
        del sample.gt_height
    assert {item.group for item, _ in probe.predictions(batch)} == {
        'steps', 'zeros', 'feedback', 'seeds'}
    with pytest.raises(ValueError, match='has no truth gt_height'):
        next(Probe(toy.HeightModel()).predictions(batch))


def test_models_without_one_diffusion_head_are_refused():
    with pytest.raises(ValueError, match='the model has 0$'):
        Probe(_Headless())
    model = toy.HeightModel()
    model.second = toy.HeightModel().head
    with pytest.raises(ValueError, match=r'the model has 2 \(HeightHead, HeightHead\)'):
        Probe(model)


class _Headless(BaseModel):

    def forward(self, inputs, data_samples=None, mode='predict'):
        return data_samples


@pytest.mark.parametrize('options, named', [
    (dict(steps=[0]), 'steps must be .* got .0'), (dict(steps=[]), 'steps must be'),
    (dict(times=[1.2]), 'times must lie'), (dict(num_seeds=1), 'num_seeds must be')])
def test_options_out_of_range_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        ProbeOptions(**options)


@pytest.mark.parametrize('windows', [
    dict(mode='whole'), dict(mode='slide_flip', crop_size=(32, 48), stride=(32, 16))])
def test_truth_goes_where_the_image_goes_into_windows_and_mirrors(windows):
    """Depth that is near on the left and far on the right stays so."""
    init_default_scope('mmseg')
    model = MMENGINE_MODELS.build(dict(
        type='DepthEstimator', data_preprocessor=dict(type='SegDataPreProcessor'),
        backbone=dict(type='mmdet.ResNet', depth=18, out_indices=(0, ), num_stages=1,
                      strides=(1, ), dilations=(1, )),
        decode_head=dict(
            type='ddp.DepthHead', in_channels=64, in_index=0, min_depth=0.5,
            max_depth=60., diffusion=dict(scale=1.),
            decoder=dict(channels=8, num_layers=1, num_heads=2)),
        train_cfg=dict(), test_cfg=ConfigDict(windows)))
    codec = model.decode_head.diffusion.codec

    class Decode(torch.nn.Module):

        def condition(self, feats):
            return feats

        def forward(self, z, level, condition):
            return codec.decode(z)
    model.decode_head.diffusion.denoiser = Decode()
    truth = torch.full((1, 32, 80), 12.)
    truth[..., 40:] = 48
    sample = SegDataSample(gt_depth_map=PixelData(data=truth), metainfo=dict(
        ori_shape=(32, 80), img_shape=(32, 80)))
    probe = Probe(model, ProbeOptions(times=[0.]))
    found = {item.key: samples for item, samples in probe.predictions(
        {'inputs': [torch.zeros(3, 32, 80)], 'data_samples': [sample]})}
    predicted = found['truth_0'][0].pred_depth_map.data
    assert predicted[..., :34].sub(12).abs().max() < 0.5
    assert predicted[..., 46:].sub(48).abs().max() < 0.5
    assert found['no_truth_0'][0].pred_depth_map.data.sub(30.25).abs().max() < 0.5
