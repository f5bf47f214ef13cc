"""Uncertainty on its way through mmseg's segmentors."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from ddp_perception.diffusion import uncertainty
from tests.segmentors.test_seg_tta import Pyramid, image, sample  # registers it

IMAGE, ORIGINAL = (16, 20), (25, 33)
HEADS = {
    'ddp.EncoderDecoder': dict(type='ddp.SegHead', num_classes=3),
    'ddp.DepthEstimator': dict(type='ddp.DepthHead', min_depth=1., max_depth=50.)}


def segmentor(kind, mode='whole', **sampler):
    torch.manual_seed(0)
    windows = dict(crop_size=(16, 12), stride=(16, 8)) if mode != 'whole' else {}
    model = ROOT.build(dict(
        type=kind, backbone=dict(type=f'ddp.Test{Pyramid.__name__}'),
        decode_head=dict(in_channels=3, decoder=dict(
            channels=8, num_layers=1, num_heads=2, num_points=2,
            time_conditioning=False), diffusion=dict(scale=1., time_difference=0.),
                         sampler=dict(num_steps=2, num_seeds=3, **sampler),
                         **HEADS[kind.replace('mmseg', 'ddp')]),
        test_cfg=ConfigDict(mode=mode, **windows))).eval()
    for parameter in model.decode_head.diffusion.denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    if kind.endswith('EncoderDecoder'):  # two steps of three seeds that disagree
        model.decode_head.prediction_steps = lambda feats, *noise: [
            scale * torch.stack([feats, feats.roll(1, 1), feats.roll(1, 2)], 1)
            for scale in (1, 2)]
    return model


def uncertain(sample, model):
    return sample.get(f'{model.decode_head.prediction_field}_uncertainty').data


def up(maps, *sizes):
    for size in sizes:
        maps = F.interpolate(maps, size, mode='bilinear', align_corners=False)
    return maps[0]


CASES = [('ddp.EncoderDecoder', 'auto', 'entropy'),
         ('ddp.EncoderDecoder', 'disagreement', 'disagreement'),
         ('ddp.DepthEstimator', 'auto', 'spread'),
         ('ddp.DepthEstimator', 'changes', 'changes')]


@torch.no_grad()
@pytest.mark.parametrize(('kind', 'asked', 'given'), CASES)
def test_uncertainty_is_resized_as_the_prediction_is(kind, asked, given):
    model = segmentor(kind, uncertainty=asked)
    pixels = image(0)
    got, = model.predict(pixels, [sample()])
    head = model.decode_head
    steps = head.prediction_steps(model.backbone(pixels)[0])
    expected = uncertainty(given, steps, head.outcome)
    assert expected.std() > 0
    torch.testing.assert_close(uncertain(got, model), up(expected, IMAGE, ORIGINAL))
    assert got.metainfo['uncertainty'] == given
    # The prediction is that of mmseg's own segmentor, which writes no such field.
    plain = segmentor(kind.replace('ddp', 'mmseg'), uncertainty=asked)
    alone, = plain.predict(pixels, [sample()])
    assert set(got.keys()) - set(alone.keys()) == {
        f'{head.prediction_field}_uncertainty'}
    for field in alone.keys():
        torch.testing.assert_close(got.get(field).data, alone.get(field).data)
    assert model.out_channels == plain.out_channels


@torch.no_grad()
def test_windows_average_uncertainty_where_they_overlap():
    model = segmentor('ddp.EncoderDecoder', 'slide')
    pixels = image(0)
    got, = model.predict(pixels, [sample()])
    total, count = torch.zeros(1, 1, *IMAGE), torch.zeros(1, 1, *IMAGE)
    for left in (0, 8):
        window = pixels[..., left:left + 12]
        steps = model.decode_head.prediction_steps(model.backbone(window)[0])
        entropy = uncertainty('entropy', steps, model.decode_head.outcome)
        total[..., left:left + 12] += up(entropy, (16, 12))
        count[..., left:left + 12] += 1
    torch.testing.assert_close(uncertain(got, model), up(total / count, ORIGINAL))


@torch.no_grad()
@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_a_mirrored_image_gives_its_uncertainty_mirrored_back(direction):
    model = segmentor('ddp.DepthEstimator')
    pixels = image(0)
    straight, = model.predict(pixels, [sample()])
    mirrored = sample()
    mirrored.set_metainfo(dict(flip=True, flip_direction=direction))
    got, = model.predict(pixels, [mirrored])  # the network sees the same pixels
    torch.testing.assert_close(
        uncertain(got, model),
        uncertain(straight, model).flip(-1 if direction == 'horizontal' else -2))


@torch.no_grad()
def test_padding_is_cut_off():
    model = segmentor('ddp.EncoderDecoder')
    pixels = image(0)
    padded = sample()
    padded.set_metainfo(dict(padding_size=[1, 3, 2, 4], ori_shape=(10, 16)))
    got, = model.predict(pixels, [padded])
    steps = model.decode_head.prediction_steps(model.backbone(pixels)[0])
    whole = up(uncertainty('entropy', steps, model.decode_head.outcome), IMAGE)
    torch.testing.assert_close(uncertain(got, model), whole[:, 2:12, 1:17])


@torch.no_grad()
def test_nothing_is_written_where_none_is_asked_for():
    model = segmentor('ddp.EncoderDecoder', uncertainty=None)
    got, = model.predict(image(0), [sample()])
    assert 'pred_sem_seg_uncertainty' not in got
    assert 'uncertainty' not in got.metainfo
    without, = segmentor('ddp.EncoderDecoder').predict(image(0))  # no sample given
    assert isinstance(without, SegDataSample)
    assert without.pred_sem_seg_uncertainty.data.shape == (1, *IMAGE)


@torch.no_grad()
def test_views_of_test_time_augmentation_are_averaged():
    module = segmentor('ddp.EncoderDecoder')
    model = ROOT.build(dict(type='ddp.SegTTAModel', module=module))
    views = [module.predict(image(seed), [sample()])[0] for seed in (1, 2)]
    expected = torch.stack([uncertain(view, module) for view in views]).mean(0)
    merged, = model.merge_preds([views])
    torch.testing.assert_close(uncertain(merged, module), expected)


@torch.no_grad()
def test_a_head_of_mmsegs_predicts_as_in_its_own_segmentor():
    def predicted(kind):
        torch.manual_seed(0)
        model = ROOT.build(dict(
            type=kind, backbone=dict(type='ddp.TestPyramid'),
            decode_head=dict(type='mmseg.FCNHead', in_channels=3, channels=4,
                             num_classes=3, num_convs=1, concat_input=False,
                             loss_decode=dict(type='mmseg.CrossEntropyLoss')),
            test_cfg=ConfigDict(mode='whole'))).eval()
        return model.predict(image(0), [sample()])[0]
    ours, theirs = predicted('ddp.EncoderDecoder'), predicted('mmseg.EncoderDecoder')
    assert set(ours.keys()) == set(theirs.keys())
    torch.testing.assert_close(ours.seg_logits.data, theirs.seg_logits.data)
