"""Accumulated probabilities on their way through mmseg's segmentor."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ROOT
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional as F

from ddp_perception.registry import MODELS

K, SMALL, IMAGE, ORIGINAL = 3, (4, 5), (16, 20), (25, 33)


@MODELS.register_module(name='TestPyramid', force=True)
class Pyramid(nn.Module):
    """Stands for a backbone: the image itself, shrunk to the features' size."""

    def forward(self, images):
        return [F.adaptive_avg_pool2d(images, SMALL)]


def segmentor(**changes):
    torch.manual_seed(0)
    model = ROOT.build(dict(
        type='mmseg.EncoderDecoder', backbone=dict(type='ddp.TestPyramid'),
        decode_head=dict(type='ddp.SegHead', in_channels=3, num_classes=K,
                         decoder=dict(channels=8, num_layers=1, num_heads=2),
                         sampler=dict(num_steps=2, num_seeds=2, average='all')),
        test_cfg=ConfigDict(mode='whole'), **changes)).eval()
    # Decisive logits, of two steps with one seed, that change from cell to cell.
    model.decode_head.prediction_steps = lambda feats, *noise: [
        20 * feats[:, None], 12 * feats.roll(1, 1)[:, None]]
    return model


def sample():
    return SegDataSample(metainfo=dict(
        img_shape=IMAGE, pad_shape=IMAGE, ori_shape=ORIGINAL, img_path='street.png'))


def image(seed):
    return torch.randn(1, 3, *IMAGE, generator=torch.Generator().manual_seed(seed))


def probabilities_of(model, pixels):
    """The published order: resize probabilities to the input, then the image."""
    scores = model.decode_head(model.backbone(pixels))
    for size in (IMAGE, ORIGINAL):
        scores = F.interpolate(scores, size, mode='bilinear', align_corners=False)
    return scores[0]


@torch.no_grad()
def test_labels_are_those_of_the_resized_probabilities():
    model = segmentor()
    expected = probabilities_of(model, image(0))
    got = model.predict(image(0), [sample()])[0]
    torch.testing.assert_close(got.seg_logits.data, expected)
    assert torch.equal(got.pred_sem_seg.data[0], expected.argmax(0))
    # The case tells the orders apart: logarithms give other labels.
    logs = model.decode_head(model.backbone(image(0)))
    logs = F.interpolate(logs, IMAGE, mode='bilinear').log()
    logs = F.interpolate(logs, ORIGINAL, mode='bilinear')[0]
    assert (logs.argmax(0) != expected.argmax(0)).any()


@torch.no_grad()
@pytest.mark.parametrize(('kind', 'again'), [('ddp.SegTTAModel', False),
                                             ('mmseg.SegTTAModel', True)])
def test_views_are_averaged_with_or_without_one_more_softmax(kind, again):
    module = segmentor()
    model = ROOT.build(dict(type=kind, module=module))
    views = [[module.predict(image(seed), [sample()])[0] for seed in (1, 2)]]
    scores = [probabilities_of(module, image(seed)) for seed in (1, 2)]
    merged = model.merge_preds(views)[0].pred_sem_seg.data[0]
    mean = torch.stack([score.softmax(0) if again else score for score in scores])
    assert torch.equal(merged, mean.mean(0).argmax(0))
