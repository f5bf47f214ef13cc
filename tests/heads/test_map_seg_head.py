import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from ddp_perception.checkpoints import rename_diffusion_keys
from ddp_perception.diffusion import Sampler
from ddp_perception.registry import MODELS
from tests import golden

CLASSES = ['drivable_area', 'ped_crossing', 'divider']
SETTINGS = dict(type='ddp.MapSegHead', in_channels=6, classes=CLASSES,
                input_grid=[[-8, 8, 2], [-10, 10, 2]],
                output_grid=[[-6, 6, 1], [-8, 8, 1]],
                decoder=dict(channels=8, num_layers=1, num_heads=2, num_points=2))


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build({**SETTINGS, **changes}).eval()


def samples(count=2, value=None):
    out = []
    for index in range(count):
        masks = (torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(index))
                 > 0.5).to(torch.uint8)
        if value is not None:
            masks.fill_(value)
        out.append(BaseDataElement(metainfo=dict(token=f'token{index}'),
                                   gt_map_seg=PixelData(data=masks)))
    return out


FEATS = torch.randn(2, 6, 8, 10, generator=torch.Generator().manual_seed(1))


def published_head(reference, weights, timed, **changes):
    """The original's head: layers without time, feedback stretched."""
    hyper = reference.meta['hyper']
    head = MODELS.build(dict(
        type='ddp.MapSegHead', in_channels=hyper['feat_channels'],
        classes=reference.meta['classes'], input_grid=hyper['input_scope'],
        output_grid=hyper['output_scope'], decoder=dict(
            channels=hyper['C'], num_layers=hyper['layers'], num_heads=hyper['heads'],
            feedforward_channels=hyper['ffn'], time_conditioning=timed),
        resize_feedback='stretch', **{
            'diffusion': dict(scale=hyper['bit_scale']), **changes})).eval()
    state = rename_diffusion_keys(weights)
    if not timed:
        state = {key: value for key, value in state.items()
                 if 'time_embedding' not in key}
    head.diffusion.load_state_dict(state)
    return head


def _check_sampling(reference, weights, case):
    tag = f'T{case["T"]}_r{case["r"]}_td{case["td"]}'
    tag += '_timecond' if case.get('timecond') else ''
    head = published_head(
        reference, weights.under('wt/' if case.get('timecond') else 'w/'),
        bool(case.get('timecond')), diffusion=dict(
            scale=reference.meta['hyper']['bit_scale'], time_difference=case['td']),
        sampler=dict(num_steps=case['T'], num_seeds=case['r'], average='all'))
    out = reference.under(f'out/{tag}/')
    noise = reference[f'in/{tag}/init_noise']
    with torch.no_grad():
        final = head(reference['in/x'], noise)
        steps = list(head.diffusion.sample_steps(reference['in/x'], noise, case['T']))
    torch.testing.assert_close(final, out['final'], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.stack([step.now.time for step in steps]),
                               out['times'][:, 0])
    above = torch.stack([step.prediction > 0 for step in steps])
    assert np.array_equal(np.packbits(above.numpy().ravel()),
                          out['above_threshold'].numpy())
    # z of step k + 1 is the reference's mask_t after step k.
    for row, kept in enumerate(out['kept_steps'].tolist()):
        if kept + 1 < len(steps):
            torch.testing.assert_close(steps[kept + 1].z[:1], out['mask_t'][row, :1],
                                       rtol=1e-5, atol=1e-5)


def test_sampling_equals_the_published_one_with_the_switches():
    reference = golden.load('bev_ddim')
    _check_sampling(reference, reference, dict(T=3, r=1, td=1))


def test_sampling_equals_every_published_case(reference_dir):
    reference = golden.load('bev_ddim', reference_dir)
    weights = golden.load('bev_weights', reference_dir)
    for case in reference.meta['cases']:
        _check_sampling(reference, weights, case)


@pytest.mark.parametrize(('variant', 'loss', 'name'), [
    ('', 'MultiLabelFocalLoss', 'focal'), ('', 'MultiLabelCrossEntropy', 'xent'),
    ('timecond/', 'MultiLabelFocalLoss', 'focal')])
def test_training_equals_the_published_one(reference_dir, variant, loss, name):
    reference = golden.load('bev_train', reference_dir)
    weights = golden.load('bev_weights', reference_dir)
    reference.meta['classes'] = weights.meta['classes']
    head = published_head(reference, weights.under('wt/' if variant else 'w/'),
                          bool(variant), loss=dict(type=f'ddp.{loss}'))
    feats = reference['in/x'].requires_grad_()
    masks = reference['in/gt_masks_bev']
    logits = head.diffusion.training_prediction(
        feats, masks, times=reference['in/times'], noise=reference['in/noise'])
    losses = head.objective(logits, masks)
    for key, value in reference.under(f'out/{variant}{name}/loss/map/').items():
        torch.testing.assert_close(losses[f'loss_map_{key.split("/")[0]}'], value,
                                   rtol=1e-5, atol=1e-6)
    total = sum(losses.values())
    torch.testing.assert_close(total, reference[f'out/{variant}{name}/total'],
                               rtol=1e-5, atol=1e-6)
    total.backward()
    ours = {
        'x': feats, 'embedding_table.weight': head.diffusion.codec.table.weight,
        'transform.conv.weight': head.diffusion.denoiser.fuse.weight,
        'heads.map.encoder.layers.0.attentions.0.sampling_offsets.weight':
            head.diffusion.denoiser.decoder.layers[0].attn.sampling_offsets.weight}
    if variant:
        ours['time_mlp.1.weight'] = head.diffusion.denoiser.time_embedding.hidden.weight
    for key, expected in reference.under(f'out/{variant}{name}/grad/').items():
        torch.testing.assert_close(ours[key].grad, expected, rtol=1e-4, atol=1e-6)


def test_losses_fall_when_training_on_one_batch():
    head = build(diffusion=dict(scale=1.)).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    totals = []
    for _ in range(60):
        losses = head.loss(FEATS, samples(value=1))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        totals.append(sum(losses.values()).item())
    assert set(losses) == {f'loss_map_{name}' for name in CLASSES}
    assert totals[-1] < 0.1 * totals[0]


def test_every_parameter_gets_a_gradient():
    for changes in (dict(), dict(decoder=dict(
            SETTINGS['decoder'], time_conditioning=False))):
        head = build(**changes)
        sum(head.loss(FEATS, samples()).values()).backward()
        assert [name for name, parameter in head.named_parameters()
                if parameter.grad is None] == []


@torch.no_grad()
def test_a_batch_gives_each_item_what_it_gets_alone():
    head = build(sampler=dict(num_seeds=2))
    together = head(FEATS)
    assert together.shape == (2, 3, 12, 16)
    torch.testing.assert_close(together[1:], head(FEATS[1:]), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_axes_order_is_an_option():
    torch.testing.assert_close(build(bev_axes='yx')(FEATS.mT), build()(FEATS))


@torch.no_grad()
def test_a_coarser_decoder_grid_gives_maps_on_the_output_grid():
    head = build(decoder_grid=[[-6, 6, 2], [-8, 8, 2]])
    condition = head.diffusion.denoiser.condition(FEATS)
    assert condition.fused.shape[-2:] == (6, 8)
    assert head(FEATS).shape == (2, 3, 12, 16)


@torch.no_grad()
def test_feedback_keeps_metres_and_the_switch_stretches():
    masks = torch.zeros(1, 3, 12, 16)
    masks[0, :, 7, 9] = 1  # the cell x in [1, 2), y in [1, 2)
    # Feature cells are 2 m wide: [1, 2) holds the centre (1, 1) of cell (4, 5).
    # Stretched from 12 x 16 to 8 x 10 cells, 7 = floor(5 * 1.5), 9 = floor(6 * 1.6).
    for how, cell in (('metric', [4, 5]), ('stretch', [5, 6])):
        codec = build(resize_feedback=how).diffusion.codec
        encoded = codec.encode(masks, (8, 10))
        there = (encoded != encoded[..., :1, :1]).any(1)[0].nonzero().tolist()
        assert there == [cell]


def test_prediction_keeps_steps_on_request_and_says_what_it_averages():
    head = build(sampler=dict(num_steps=4, num_seeds=2), keep_steps=True)
    batch = samples()
    with torch.no_grad():
        maps = head.predict(FEATS, batch)
    assert maps[1].data.shape == (3, 12, 16)
    assert batch[1].pred_map_seg_steps.shape == (4, 3, 12, 16)
    assert 'pred_map_seg_seeds' not in batch[1]
    torch.testing.assert_close(batch[1].pred_map_seg_steps[-1], maps[1].data)
    assert batch[0].decoder_passes == dict(seeds=2, steps=4, averaged=2)
    head.keep_seeds = True
    with torch.no_grad():
        head.predict(FEATS, batch)
    seeds = batch[1].pred_map_seg_seeds
    torch.testing.assert_close(seeds.mean(0), maps[1].data)
    noises, _ = head.sampler.complete(None, None, 8, (8, 10), torch.device('cpu'))
    for seed, noise in enumerate(noises):
        head.sampler = Sampler(num_steps=4)
        with torch.no_grad():
            alone = head(FEATS, noise[None])
        torch.testing.assert_close(seeds[seed], alone[1])
    everything = build(sampler=dict(num_steps=4, num_seeds=2, average='all'))
    with torch.no_grad():
        mean = everything.predict(FEATS, batch)[1].data
    torch.testing.assert_close(mean, batch[1].pred_map_seg_steps.mean(0))
    assert batch[0].decoder_passes['averaged'] == 8


@torch.no_grad()
def test_prediction_says_how_uncertain_each_class_is():
    head = build(sampler=dict(num_steps=2, num_seeds=3, uncertainty='spread'))
    batch = samples()
    head.predict(FEATS, batch)
    last = head.prediction_steps(FEATS)[-1].sigmoid()
    for index, sample in enumerate(batch):
        torch.testing.assert_close(sample.pred_map_seg_uncertainty.data,
                                   last[index].std(0, correction=0))
        assert sample.uncertainty == 'spread'
    silent = build(sampler=dict(uncertainty=None))
    batch = samples()
    silent.predict(FEATS, batch)
    assert 'pred_map_seg_uncertainty' not in batch[0]


@pytest.mark.parametrize(('changes', 'words'), [
    (dict(loss='focal'), 'MultiLabelFocalLoss'), (dict(bev_axes='zx'), 'zx'),
    (dict(classes=['a', 'a']), 'distinct'), (dict(resize_feedback='crop'), 'crop'),
    (dict(sampler=dict(num_steps=0)), 'num_steps'),
    (dict(sampler=dict(average='mean')), 'mean'),
    (dict(sampler=dict(seeds=2)), 'seeds'),
    (dict(threshold=1.), 'threshold'), (dict(thresh=.5), "'threshold'")])
def test_bad_settings_fail_at_build_time(changes, words):
    with pytest.raises((ValueError, TypeError), match=words):
        build(**changes)


def test_wrong_features_are_named():
    with pytest.raises(ValueError, match=r'X=8.*Y=10.*\(2, 6, 10, 8\)'):
        build()(FEATS.mT)
    with pytest.raises(ValueError, match='one feature level.*2'):
        build()([FEATS, FEATS])


def test_wrong_truth_is_named():
    head = build()
    with pytest.raises(ValueError, match='gt_map_seg.*token0'):
        head.loss(FEATS, [BaseDataElement(metainfo=dict(token='token0'))] * 2)
    with pytest.raises(ValueError, match=r'0 or 1.*7'):
        head.loss(FEATS, samples(value=7))
    wrong = samples()
    for sample in wrong:
        sample.gt_map_seg = PixelData(data=torch.zeros(3, 16, 12))
    with pytest.raises(ValueError, match=r'\(3, 12, 16\).*\(3, 16, 12\)'):
        head.loss(FEATS, wrong)


def test_without_a_noisy_map_the_head_is_a_plain_decoder():
    head = build(diffusion=dict(noisy_map=False), sampler=dict(num_steps=1))
    result = head.loss(FEATS, samples(value=0))
    again = head.loss(FEATS, samples(value=0))
    assert result and all(torch.equal(again[key], value)
                          for key, value in result.items())
    assert set(head.diffusion.state_dict()) == {
        name for name in build().diffusion.state_dict()
        if not name.startswith('codec.') and 'time' not in name}
    assert head.predict(FEATS, samples())[0].data.shape == (3, 12, 16)


@pytest.mark.parametrize('sampler', [dict(), dict(num_steps=1, num_seeds=2)])
def test_without_a_noisy_map_there_is_one_pass(sampler):
    with pytest.raises(ValueError, match='noisy_map=False has one pass'):
        build(diffusion=dict(noisy_map=False), sampler=sampler)


def test_a_recipe_is_named_in_the_configuration():
    head = build(diffusion=dict(scale=1., recipe='on_policy'))
    assert head.diffusion.training_maps.own_steps > 0
    with pytest.raises(ValueError, match="one of.*'on_policy'.*got 'onpolicy'"):
        build(diffusion=dict(recipe='onpolicy'))


def test_several_passes_of_an_iteration_share_their_truth():
    """The loss of three passes is the mean of the losses of each."""
    recipe = dict(truth=1., noise=1., self_aligned=1.)
    noise = torch.randn(2, 8, 8, 10, generator=torch.Generator().manual_seed(2))
    times = torch.tensor([0.2, 0.7])
    truth = torch.stack([sample.gt_map_seg.data for sample in samples()])

    def losses(recipe):
        head = build(diffusion=dict(recipe=recipe))
        sampled = head.diffusion.training_prediction
        head.training_prediction = lambda feats, labels: sampled(
            feats, labels, times=times, noise=noise)
        return head.loss(FEATS, samples())
    together = losses(recipe)
    apart = [losses({kind: 1.}) for kind in recipe]
    assert truth.any() and set(together) == set(apart[0])
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack(
            [single[name] for single in apart]).mean(0))
