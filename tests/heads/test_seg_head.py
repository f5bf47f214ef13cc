import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from ddp_perception.checkpoints import rename_diffusion_keys
from ddp_perception.registry import MODELS
from tests import golden

SETTINGS = dict(type='ddp.SegHead', in_channels=6, num_classes=3,
                decoder=dict(channels=8, num_layers=1, num_heads=2, num_points=2))
FEATS = [torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(1))]
META = dict(img_shape=(20, 28), img_path='street.png')


def build(**changes):
    torch.manual_seed(0)
    head = MODELS.build({**SETTINGS, **changes}).eval()
    for parameter in head.diffusion.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def samples(value=None):
    draw = torch.Generator().manual_seed(0)
    out = []
    for _ in range(2):
        labels = torch.randint(0, 3, (1, 20, 28), generator=draw)
        labels[:, :3] = 255
        if value is not None:
            labels.fill_(value)
        out.append(SegDataSample(metainfo=META, gt_sem_seg=PixelData(data=labels)))
    return out


def published_head(reference, weights, diffusion, **changes):
    hyper = reference.meta['hyper']
    head = MODELS.build(dict(
        type='ddp.SegHead', in_channels=hyper['C'], num_classes=hyper['K'],
        decoder=dict(channels=hyper['C'], num_layers=hyper['layers'],
                     num_heads=hyper['heads'], feedforward_channels=hyper['ffn']),
        diffusion=dict(scale=hyper['bit_scale'], **diffusion), **changes)).eval()
    head.diffusion.load_state_dict(rename_diffusion_keys(weights.under('w/')))
    return head


def _check_sampling(reference, weights, case, method):
    case = {**reference.meta['defaults'], **case}
    tag = case.get('tag', f'T{case["T"]}_r{case["r"]}')
    head = published_head(
        reference, weights, dict(
            time_difference=case['time_difference'], schedule=case['noise_schedule'],
            sample_range=case['sample_range']),
        sampler=dict(num_steps=case['T'], num_seeds=case['r'], method=method))
    out, given = reference.under(f'out/{tag}/'), reference.under(f'in/{tag}/')
    draws = (given['init_noise'], given.get('step_noise'))
    feats = reference['in/x']
    with torch.no_grad():
        steps = list(head.diffusion.sample_steps(feats, draws[0], case['T'], draws[1]))
        logits = head([feats], *draws) if case['T'] == 3 else None
        raw = [step.prediction.unflatten(0, (1, -1)) for step in steps]
        reduced = head.average(raw)
        head.sampler.average = 'all'
        probabilities = head.average(raw)
    assert logits is None or torch.equal(logits, reduced)
    tight = dict(rtol=1e-5, atol=5e-5)
    for step, now in zip(steps, out['times'][:, 0], strict=True):
        torch.testing.assert_close(step.now.time, now, rtol=0, atol=1e-7)
    predictions = torch.stack([step.prediction for step in steps])
    assert torch.equal(predictions.argmax(2), out['argmax'].long())
    torch.testing.assert_close(predictions, out['logits'], **tight)
    # z of step k + 1 is the original's mask_t after step k.
    for kept, mask in zip(out['mask_t_steps'].tolist(), out['mask_t'], strict=True):
        if kept + 1 < len(steps):
            torch.testing.assert_close(steps[kept + 1].z, mask, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reduced, out['final_accumulation_false'],
                               rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(probabilities, out['final_accumulation_true'],
                               rtol=1e-5, atol=1e-5)


def test_sampling_equals_the_published_one():
    _check_sampling(golden.load('seg_ddim'), golden.load('seg_weights'),
                    dict(T=3, r=1), 'ddim')


@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_sampling_equals_every_published_case(reference_dir, method):
    reference = golden.load(f'seg_{method}', reference_dir)
    weights = golden.load('seg_weights', reference_dir)
    assert len(reference.meta['cases']) == 5
    for case in reference.meta['cases']:
        _check_sampling(reference, weights, case, method)


@pytest.mark.parametrize(('name', 'aligned'), [('DDP', False),
                                               ('SelfAlignedDDP', True)])
def test_training_equals_the_published_one(reference_dir, name, aligned):
    reference = golden.load('seg_train', reference_dir)
    weights = golden.load('seg_weights', reference_dir)
    out = reference.under(f'out/{name}/')
    head = published_head(reference, weights, dict(self_aligned=aligned))
    feats = reference['in/x'].requires_grad_()
    truth = reference['in/gt_semantic_seg']
    prediction = head.diffusion.training_prediction(
        feats, truth, times=reference['in/times'], noise=reference['in/noise'])
    losses = head.objective(prediction, truth)
    torch.testing.assert_close(losses['loss_ce'], out['decode.loss_ce'],
                               rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses['acc_seg'], out['decode.acc_seg'])
    losses['loss_ce'].backward()
    denoiser = head.diffusion.denoiser
    ours = {
        'x': feats, 'embedding_table.weight': head.diffusion.codec.table.weight,
        'transform.conv.weight': denoiser.fuse.weight,
        'transform.conv.bias': denoiser.fuse.bias,
        'decode_head.encoder.layers.0.attentions.0.sampling_offsets.weight':
            denoiser.decoder.layers[0].attn.sampling_offsets.weight,
        'time_mlp.1.weight': denoiser.time_embedding.hidden.weight,
        'time_mlp.0.weights': denoiser.time_embedding.frequencies}
    expected = reference.under(f'out/{name}/grad_decode/')
    expected.pop('x_f64_max_abs_diff')
    assert set(expected) == set(ours)
    for key, value in expected.items():
        torch.testing.assert_close(ours[key].grad, value, rtol=1e-4, atol=2e-6)


def test_the_auxiliary_head_is_mmsegs_own(reference_dir):
    reference = golden.load('seg_train', reference_dir)
    aux = reference.meta['aux']
    head = MODELS.build(dict(
        type='mmseg.FCNHead', in_channels=32, in_index=0, channels=32, num_classes=7,
        num_convs=aux['num_convs'], concat_input=aux['concat_input'], dropout_ratio=0.,
        norm_cfg=dict(type='BN'), loss_decode=dict(
            type='mmseg.CrossEntropyLoss', loss_weight=aux['loss_weight'])))
    head.load_state_dict(reference.under('w/auxiliary_head.'))
    batch = [SegDataSample(gt_sem_seg=PixelData(data=labels))
             for labels in reference['in/gt_semantic_seg']]
    loss = head.loss([reference['in/x']], batch, None)['loss_ce']
    torch.testing.assert_close(loss, reference['out/DDP/aux.loss_ce'],
                               rtol=1e-5, atol=1e-6)


def test_cross_entropy_is_divided_by_all_pixels():
    head = build()
    logits = torch.randn(2, 3, 5, 7)
    truth = torch.stack([sample.gt_sem_seg.data[0] for sample in samples()])
    loss = head.objective(logits, truth[:, None])['loss_ce']
    full = torch.nn.functional.interpolate(logits, (20, 28), mode='bilinear')
    total = torch.nn.functional.cross_entropy(full, truth, ignore_index=255,
                                              reduction='sum')
    torch.testing.assert_close(loss, total / truth.numel())


def test_hard_pixels_alone_count_with_mmsegs_ohem_loss():
    weights = [1., 2., .5]
    head = build(loss_decode=dict(type='mmseg.OhemCrossEntropy', thres=0.4, min_kept=1,
                                  class_weight=weights))
    logits = torch.randn(2, 3, 20, 28, generator=torch.Generator().manual_seed(2))
    truth = torch.stack([sample.gt_sem_seg.data for sample in samples()])
    loss = head.objective(logits, truth)['loss_ohem']
    kept = []
    for image, sample in zip(logits, samples(), strict=True):
        for scores, label in zip(image.flatten(1).T,
                                 sample.gt_sem_seg.data.flatten(), strict=True):
            if label != 255 and scores.softmax(0)[label] < 0.4:
                kept.append(-weights[label] * scores.log_softmax(0)[label])
    torch.testing.assert_close(loss, torch.stack(kept).mean(), rtol=1e-5, atol=0)


@torch.no_grad()
@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_a_batch_gives_each_image_what_it_gets_alone(method):
    head = build(sampler=dict(num_seeds=2, method=method))
    together = head.predict(FEATS, [META] * 2, None)
    assert together.shape == (2, 3, 20, 28)
    alone = head.predict([FEATS[0][1:]], [META], None)
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.predict(FEATS, [META] * 2, None), together)


@torch.no_grad()
@pytest.mark.parametrize('method', ['ddim', 'ddpm'])
def test_the_seed_matters(method):
    # A time difference of 1 ends at time 0, where no noise is left.
    first, second = (build(diffusion=dict(time_difference=0., scale=1.), sampler=dict(
        method=method, seed=seed))(FEATS) for seed in (0, 7))
    assert (first - second).abs().max() > 1e-3


@torch.no_grad()
def test_last_step_logits_are_averaged_over_seeds():
    head = build(sampler=dict(num_seeds=3))
    noise = torch.randn(3, 8, 5, 7)
    each = [build()(FEATS, noise[seed:seed + 1]) for seed in range(3)]
    torch.testing.assert_close(head(FEATS, noise), torch.stack(each).mean(0),
                               rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_accumulated_predictions_are_resized_as_probabilities():
    head = build(sampler=dict(average='all'))
    probabilities = head(FEATS)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 5, 7))
    scores = head.predict(FEATS, [META] * 2, None)
    resized = torch.nn.functional.interpolate(probabilities, (20, 28), mode='bilinear')
    torch.testing.assert_close(scores, resized, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(('encoding', 'channels'), [
    ('embedding', 8), ('one_hot', 3), ('analog_bits', 2)])
def test_encodings_train_and_sample(encoding, channels):
    head = build(encoding=encoding)
    assert head.diffusion.codec.channels == channels
    losses = head.loss(FEATS, samples(), None)
    losses['loss_ce'].backward()
    assert head(FEATS).shape == (2, 3, 5, 7)


@pytest.mark.parametrize('aligned', [False, True])
def test_training_on_one_batch_learns_it(aligned):
    torch.manual_seed(0)
    head = MODELS.build(dict(
        SETTINGS, diffusion=dict(scale=1., self_aligned=aligned))).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)
    totals = []
    for _ in range(40):
        loss = head.loss(FEATS, samples(value=1), None)['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        totals.append(loss.item())
    assert totals[-1] < 0.2 * totals[0]


def test_features_of_several_levels_are_concatenated():
    head = build(in_channels=[6, 4], in_index=[0, 1])
    feats = [FEATS[0], torch.randn(2, 4, 3, 4)]
    assert head.in_channels == 10
    assert head(feats).shape == (2, 3, 5, 7)


def test_state_holds_the_diffusion_alone():
    assert {name.split('.')[0] for name in build().state_dict()} == {'diffusion'}


@pytest.mark.parametrize(('changes', 'words'), [
    (dict(encoding='bits'), 'bits'), (dict(sampler=dict(method='euler')), 'euler'),
    (dict(diffusion=dict(scale=-1.)), 'scale'), (dict(encodin='one_hot'), "'encoding'"),
    (dict(decoder=dict(num_layer=2)), "'num_layers'"),
    (dict(diffusion=dict(schedule='cubic')), 'cubic')])
def test_bad_settings_fail_at_build_time(changes, words):
    with pytest.raises((ValueError, TypeError), match=words):
        MODELS.build({**SETTINGS, **changes})


def test_wrong_truth_is_named():
    head = build()
    with pytest.raises(ValueError, match=r'\[0, 3\).*255.*\[7\]'):
        head.loss(FEATS, samples(value=7), None)
    with pytest.raises(ValueError, match='gt_sem_seg.*street.png'):
        head.loss(FEATS, [SegDataSample(metainfo=META)] * 2, None)

