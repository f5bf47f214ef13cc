import itertools

import pytest
import torch

from ddp_perception.diffusion import (
    AnalogBitsCodec,
    ClassCodec,
    DepthCodec,
    MultiLabelCodec,
    OneHotCodec,
    codecs,
)
from ddp_perception.diffusion.codecs import nearest_shrink
from tests import golden


@pytest.mark.parametrize('name', list(golden.load('nearest_resize')))
def test_nearest_shrink_takes_the_published_cells(name):
    source, target = map(int, name.split('/')[1].split('_to_'))
    ramp = torch.arange(source)[None, None, :, None].expand(1, 1, source, 3)
    cells = nearest_shrink(ramp, (target, 3))[0, 0, :, 0]
    assert torch.equal(cells.int(), golden.load('nearest_resize')[name])


def test_multi_label_codec_is_the_mean_of_one_vector_per_class():
    codec = MultiLabelCodec(num_classes=3, channels=4, scale=0.01)
    masks = (torch.rand(2, 3, 5, 6) > 0.5).float()
    encoded = codec.encode(masks, (5, 6))
    table = codec.table.weight
    for item, row, col in ((0, 0, 0), (1, 4, 5), (1, 2, 3)):
        rows = [(k + 1) * int(masks[item, k, row, col]) for k in range(3)]
        mean = torch.stack([table[index] for index in rows]).mean(0)
        torch.testing.assert_close(encoded[item, :, row, col],
                                   (2 * mean.sigmoid() - 1) * 0.01)


def test_multi_label_prediction_encodes_as_its_own_masks():
    codec = MultiLabelCodec(num_classes=3, channels=4, threshold=0.3)
    logits = torch.randn(2, 3, 8, 10)
    masks = (logits.sigmoid() > 0.3).float()
    torch.testing.assert_close(codec.encode_prediction(logits, (4, 5)),
                               codec.encode(masks, (4, 5)))


def test_multi_label_codec_rejects_other_values():
    codec = MultiLabelCodec(num_classes=2, channels=4)
    with pytest.raises(ValueError, match=r'0 or 1.*255'):
        codec.encode(torch.full((1, 2, 3, 4), 255), (3, 4))
    with pytest.raises(ValueError, match='2 classes'):
        codec.encode(torch.zeros(1, 3, 3, 4), (3, 4))


def test_class_codec_looks_labels_up_and_ignores_with_the_last_row():
    codec = ClassCodec(num_classes=3, channels=4, scale=0.1)
    labels = torch.tensor([[[0, 2, 255], [1, 0, 2]]]).repeat(2, 1, 1)
    encoded = codec.encode(labels, (2, 3))
    expected = (2 * codec.table.weight[[0, 2, 3]].sigmoid() - 1) * 0.1
    torch.testing.assert_close(encoded[1, :, 0].mT, expected)
    assert encoded.shape == (2, 4, 2, 3)
    torch.testing.assert_close(codec.encode(labels[:, None], (2, 3)), encoded)


def test_class_codec_round_trip_through_logits():
    codec = ClassCodec(num_classes=5, channels=4)
    labels = torch.randint(0, 5, (2, 6, 7))
    logits = torch.nn.functional.one_hot(labels, 5).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(codec.encode_prediction(logits, (6, 7)),
                               codec.encode(labels, (6, 7)))


@pytest.mark.parametrize('wrong', [5, -1, 254])
def test_class_codec_names_labels_out_of_range(wrong):
    codec = ClassCodec(num_classes=5, channels=4)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    labels[0, 1, 2] = wrong
    with pytest.raises(ValueError, match=rf'\[{wrong}\]'):
        codec.encode(labels, (4, 4))


def test_encoded_maps_lie_within_the_scale():
    codec = MultiLabelCodec(num_classes=3, channels=4, scale=0.02)
    torch.nn.init.normal_(codec.table.weight, std=100)
    encoded = codec.encode((torch.rand(1, 3, 5, 6) > 0.5).float(), (5, 6))
    assert encoded.abs().max() <= 0.02
    with pytest.raises(ValueError, match='scale'):
        MultiLabelCodec(num_classes=3, channels=4, scale=0.)


@pytest.mark.parametrize('num_classes', [1, 2, 3, 19, 150])
@pytest.mark.parametrize('build', [
    lambda count: ClassCodec(count, channels=16), OneHotCodec, AnalogBitsCodec])
def test_class_maps_decode_to_their_labels(build, num_classes):
    codec = build(num_classes)
    labels = torch.arange(2 * 16 * 12).reshape(2, 16, 12) % (num_classes + 1)
    labels[labels == num_classes] = 255
    encoded = codec.encode(labels, (16, 12))
    assert encoded.shape == (2, codec.channels, 16, 12)
    assert encoded.abs().max() <= codec.scale
    assert torch.equal(codec.decode(encoded), labels)
    # Noise below half the distance between two vectors changes nothing.
    distance = torch.pdist(codec.vectors()).min().item()
    shift = torch.nn.functional.normalize(torch.randn_like(encoded), dim=1)
    assert torch.equal(codec.decode(encoded + 0.49 * distance * shift), labels)


@pytest.mark.parametrize('codec', [OneHotCodec(5), AnalogBitsCodec(5)])
def test_predicted_classes_encode_as_their_labels(codec):
    labels = torch.randint(0, 5, (2, 6, 7))
    logits = torch.nn.functional.one_hot(labels, 5).permute(0, 3, 1, 2).float()
    assert torch.equal(codec.encode_prediction(logits, (3, 7)),
                       codec.encode(labels, (3, 7)))
    assert not codec.state_dict()


def test_one_hot_and_bits_are_what_they_say():
    labels = torch.tensor([[[0, 2, 5, 255]]])
    one_hot = OneHotCodec(6).encode(labels, (1, 4))[0, :, 0].mT
    assert torch.equal(one_hot[1], torch.tensor([-.1, -.1, .1, -.1, -.1, -.1]))
    assert torch.equal(one_hot[3], torch.zeros(6))
    bits = AnalogBitsCodec(6).encode(labels, (1, 4))[0, :, 0].mT
    # 5 = 101, lowest bit first; ignored pixels are 6 = 110.
    assert torch.equal(bits[2], torch.tensor([.1, -.1, .1]))
    assert torch.equal(bits[3], torch.tensor([-.1, .1, .1]))


def test_labels_out_of_range_are_found_at_any_size():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 3, 5] = 9  # no cell of a 2 x 2 grid looks there
    with pytest.raises(ValueError, match=r'\[9\]'):
        OneHotCodec(5).encode(labels, (2, 2))


@pytest.mark.parametrize('num_classes', [1, 6])
def test_sets_of_classes_are_looked_up_as_they_are_convolved(monkeypatch, num_classes):
    torch.manual_seed(0)
    codec = MultiLabelCodec(num_classes, 5, scale=0.3)
    masks = torch.randint(2, (2, num_classes, 7, 9))
    weight = torch.randn(2, 5, 7, 9)

    def value_and_gradient():
        encoded = codec.encode(masks, (7, 9))
        gradient, = torch.autograd.grad((encoded * weight).sum(), codec.table.weight)
        return encoded, gradient
    looked_up = value_and_gradient()
    monkeypatch.setattr(codecs, '_COMBINED', 0)
    for one, other in zip(looked_up, value_and_gradient(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('codec', [
    ClassCodec(3, 5, scale=1.), OneHotCodec(3, scale=1.), AnalogBitsCodec(3, scale=1.)],
    ids=lambda codec: type(codec).__name__)
def test_the_expected_map_is_the_mean_of_the_vectors_by_probability(codec):
    logits = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    got = codec.encode_expected(logits, (2, 3))
    for b, i, j in itertools.product(range(2), range(2), range(3)):
        odds = logits[b, :, 2 * i, 2 * j].exp()
        mean = sum(odd / odds.sum() * codec.encode(torch.full((1, 1, 1), k), (1, 1))
                   for k, odd in enumerate(odds))
        torch.testing.assert_close(got[b, :, i, j], mean.flatten())
    # Nothing is left open: the map is that of the decision.
    torch.testing.assert_close(codec.encode_expected(1e4 * logits, (2, 3)),
                               codec.encode_prediction(logits, (2, 3)))


def test_the_expected_map_of_masks_lies_between_those_of_the_decisions():
    codec = MultiLabelCodec(1, 4, scale=1.)
    absent, present = (codec.encode(torch.full((1, 1, 1, 1), value), (1, 1))
                       for value in (0, 1))
    logit = torch.tensor(0.7)
    expected = codec.encode_expected(logit.view(1, 1, 1, 1), (1, 1))
    # Between the vectors before they are squashed: sigmoid's inverse undoes it.
    raw_absent, raw_present, raw = (((part + 1) / 2).logit() for part in (
        absent, present, expected))
    torch.testing.assert_close(
        raw, torch.lerp(raw_absent, raw_present, logit.sigmoid()))
    certain = torch.tensor([-1e4, 1e4]).view(2, 1, 1, 1)
    torch.testing.assert_close(codec.encode_expected(certain, (1, 1)),
                               torch.cat([absent, present]))


def test_a_quantity_is_its_own_mean_and_expectations_have_gradients():
    depth = torch.tensor([[[[3., 9.]]]])
    codec = DepthCodec(1., 10.)
    assert torch.equal(codec.encode_expected(depth, (1, 2)),
                       codec.encode_prediction(depth, (1, 2)))
    for codec, classes in ((ClassCodec(3, 5), 3), (MultiLabelCodec(3, 5), 3)):
        logits = torch.zeros(1, classes, 2, 2, requires_grad=True)
        codec.encode_expected(logits, (2, 2)).square().sum().backward()
        assert logits.grad.abs().sum() > 0
