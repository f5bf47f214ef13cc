import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ddp_perception.checkpoints import rename_diffusion_keys
from ddp_perception.registry import MODELS
from tests import golden

SETTINGS = dict(type='ddp.DepthHead', in_channels=6, min_depth=0.5, max_depth=20.,
                decoder=dict(channels=8, num_layers=1, num_heads=2, num_points=2))
FEATS = [torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))]
META = dict(img_shape=(20, 28), img_path='street.png')


def build(**changes):
    torch.manual_seed(0)
    head = MODELS.build({**SETTINGS, **changes}).eval()
    for parameter in head.diffusion.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.constant_(head.diffusion.denoiser.predictor.bias, 5.)
    return head


def samples(value=None):
    draw = torch.Generator().manual_seed(0)
    out = []
    for _ in range(2):
        depth = 1 + 18 * torch.rand(1, 20, 28, generator=draw)
        depth *= torch.rand(1, 20, 28, generator=draw) > 0.7
        if value is not None:
            depth = torch.full_like(depth, value)
        out.append(SegDataSample(metainfo=META, gt_depth_map=PixelData(data=depth)))
    return out


def published_head(weights, prefix='w/', time_difference=1., **changes):
    hyper = weights.meta['hyper']
    timed = prefix == 'wt/'
    head = MODELS.build(dict(
        type='ddp.DepthHead', in_channels=hyper['C'], min_depth=hyper['min_depth'],
        max_depth=hyper['max_depth'], scale_up=hyper['scale_up'],
        sparse_truth='bilinear', decoder=dict(
            channels=hyper['C'], num_layers=hyper['layers'], num_heads=hyper['heads'],
            feedforward_channels=hyper['ffn'], time_conditioning=timed),
        diffusion=dict(scale=hyper['bit_scale'], time_difference=time_difference),
        **changes)).eval()
    state = rename_diffusion_keys(weights.under(prefix))
    head.diffusion.load_state_dict({name: value for name, value in state.items()
                                    if timed or 'time_embedding' not in name})
    return head


@torch.no_grad()
def test_sampling_equals_every_published_case(reference_dir):
    reference = golden.load('depth_ddim', reference_dir)
    weights = golden.load('depth_weights', reference_dir)
    assert len(reference.meta['cases']) == 4
    for case in reference.meta['cases']:
        timed = case.get('timecond', False)
        tag = f'T{case["T"]}_r{case["r"]}_td{case["td"]}' + '_timecond' * timed
        head = published_head(
            weights, 'wt/' if timed else 'w/', case['td'],
            sampler=dict(num_steps=case['T'], num_seeds=case['r']))
        out, noise = reference.under(f'out/{tag}/'), reference[f'in/{tag}/init_noise']
        feats = reference['in/x']
        steps = list(head.diffusion.sample_steps(feats, noise, case['T']))
        alphas = torch.stack([step.now.alpha for step in steps])
        torch.testing.assert_close(alphas ** 2, out['gamma'][:, 0],
                                   rtol=1e-5, atol=1e-8)
        for index, step in enumerate(steps):
            torch.testing.assert_close(step.prediction, out['depth_pred'][index],
                                       rtol=1e-5, atol=2e-4)
            torch.testing.assert_close(
                head.diffusion.codec.encode_prediction(step.prediction, (8, 12)),
                out['depth_norm_clamped'][index], rtol=1e-5, atol=1e-6)
            if index:
                torch.testing.assert_close(step.z, out['depth_t'][index - 1],
                                           rtol=1e-5, atol=2e-6)
        averaged = head.sampler.combine([step.prediction.unflatten(0, (1, -1))
                                         for step in steps])
        torch.testing.assert_close(averaged, out['final'], rtol=1e-5, atol=2e-4)
        depth = head([feats], noise)
        torch.testing.assert_close(depth, out['encode_decode_norescale'],
                                   rtol=1e-5, atol=2e-4)
        size = dict(img_shape=tuple(reference.meta['resize_to']))
        torch.testing.assert_close(head.predict_by_feat(depth, [size]),
                                   out['encode_decode_rescale'], rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize('variant', ['', 'timecond/'])
def test_training_equals_the_published_one(reference_dir, variant):
    reference = golden.load('depth_train', reference_dir)
    weights = golden.load('depth_weights', reference_dir)
    head = published_head(weights, 'wt/' if variant else 'w/')
    feats, truth = reference['in/x'].requires_grad_(), reference['in/depth_gt']
    level = head.diffusion.schedule.level(reference['in/times'])
    noised = level.mix(head.diffusion.codec.encode(truth, (10, 14)),
                       reference['in/noise'])
    torch.testing.assert_close(noised, reference[f'out/{variant}noised_depth'],
                               rtol=1e-5, atol=1e-6)
    prediction = head.diffusion.training_prediction(
        feats, truth, times=reference['in/times'], noise=reference['in/noise'])
    loss = head.objective(prediction, truth)['loss_depth']
    torch.testing.assert_close(loss, reference[f'out/{variant}loss'],
                               rtol=1e-5, atol=1e-6)
    loss.backward()
    denoiser = head.diffusion.denoiser
    ours = {
        'x': feats, 'down.conv.weight': denoiser.fuse.weight,
        'decode_head.encoder.layers.0.attentions.0.sampling_offsets.weight':
            denoiser.decoder.layers[0].attn.sampling_offsets.weight,
        'decode_head.conv_depth.weight': denoiser.predictor.weight}
    if variant:
        ours['time_mlp.1.weight'] = denoiser.time_embedding.hidden.weight
    expected = reference.under(f'out/{variant}grad/')
    assert set(expected) - {'x_f64'} == set(ours)
    for key, tensor in ours.items():
        # Two threads alone move the original's gradients by 5e-5, another processor
        # ours by 1.5e-4 of the largest.
        torch.testing.assert_close(tensor.grad, expected[key], rtol=1e-4,
                                   atol=2e-4 * expected[key].abs().max().item())


@torch.no_grad()
def test_decoder_equals_the_published_one(reference_dir):
    reference = golden.load('map_decoder_depth', reference_dir)
    weights = golden.load('depth_weights', reference_dir)
    for prefix, variant in (('w/', ''), ('wt/', 'timecond/')):
        denoiser = published_head(weights, prefix).diffusion.denoiser
        embedding = None
        if variant:
            embedding = denoiser.time_embedding(reference['in/t'])
            torch.testing.assert_close(
                embedding, reference['in/time_embedding_timecond'],
                rtol=1e-5, atol=1e-5)
        memory = denoiser.decoder(reference['in/feature'], embedding)
        torch.testing.assert_close(memory, reference[f'out/{variant}memory'],
                                   rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(denoiser.predictor(memory),
                                   reference[f'out/{variant}depth_pred'],
                                   rtol=1e-5, atol=1e-4)


@torch.no_grad()
def test_a_batch_gives_each_image_what_it_gets_alone():
    head = build(sampler=dict(num_seeds=2))
    together = head.predict(FEATS, [META] * 2, None)
    assert together.shape == (2, 1, 20, 28)
    alone = head.predict([FEATS[0][1:]], [META], None)
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('scale_up', [False, True])
def test_predictions_lie_in_the_range(scale_up):
    for bias in (-1e4, 1e4):
        head = build(scale_up=scale_up)
        head.diffusion.denoiser.predictor.bias.fill_(bias)
        depth = head.predict(FEATS, [META] * 2, None)
        expected = torch.full_like(depth, 20. if bias > 0 else 0.5)
        torch.testing.assert_close(depth, expected)


@torch.no_grad()
def test_the_time_matters_unless_switched_off():
    for conditioned in (True, False):
        diffusion = build(
            decoder=dict(SETTINGS['decoder'], time_conditioning=conditioned),
            diffusion=dict(scale=1.)).diffusion
        condition = diffusion.denoiser.condition(FEATS[0])
        z = torch.randn(2, 1, 5, 7)
        early, late = (diffusion.denoiser(z, diffusion.schedule.level(time), condition)
                       for time in (0.1, 0.9))
        assert torch.equal(early, late) != conditioned


@pytest.mark.parametrize('changes', [
    dict(), dict(diffusion=dict(scale=1., self_aligned=True)), dict(scale_up=True)])
def test_training_on_one_batch_learns_it(changes):
    torch.manual_seed(0)
    head = MODELS.build({**SETTINGS, 'diffusion': dict(scale=1.), **changes}).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-2)
    totals = []
    for _ in range(60):
        loss = head.loss(FEATS, samples(value=4.), None)['loss_depth']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    assert totals[-1] < 0.2 * totals[0]


def test_truth_without_any_return_gives_no_loss():
    losses = build().loss(FEATS, samples(value=0.), None)
    losses['loss_depth'].backward()
    assert losses['loss_depth'] == 0


def test_wrong_truth_is_named():
    head = build()
    for value in (-1., float('nan'), float('inf')):
        with pytest.raises(ValueError, match=f'at least 0.*{value}'):
            head.loss(FEATS, samples(value=value), None)
    with pytest.raises(ValueError, match='gt_depth_map.*street.png'):
        head.loss(FEATS, [SegDataSample(metainfo=META)] * 2, None)


@pytest.mark.parametrize(('changes', 'words'), [
    (dict(sparse_truth='zeros'), 'zeros'), (dict(max_depth=0.5), 'max_depth'),
    (dict(diffusion=dict(scale=0.)), 'scale'), (dict(scale=0.1), 'diffusion=dict')])
def test_bad_settings_fail_at_build_time(changes, words):
    with pytest.raises((ValueError, TypeError), match=words):
        MODELS.build({**SETTINGS, **changes})
