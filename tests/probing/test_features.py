import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from ddp_perception.probing.features import FeatureMemory, truth_planes

IMAGES = torch.zeros(1, 3, 8, 12)


def sample(truth, **meta):
    return BaseDataElement(truth=PixelData(data=truth),
                           metainfo=dict(img_path='a.png', **meta))


def test_truth_of_the_images_size_stays_what_it_is():
    truth = torch.arange(96).reshape(1, 8, 12)
    planes = truth_planes([sample(truth), sample(truth + 1)], 'truth',
                          IMAGES.repeat(2, 1, 1, 1))
    assert planes.equal(torch.stack([truth, truth + 1]).float())


def test_truth_of_an_image_that_was_resized_and_padded():
    truth = torch.arange(2 * 12 * 20).reshape(2, 12, 20)
    planes = truth_planes([sample(truth, img_padding_size=[0, 2, 1, 1])], 'truth',
                          IMAGES)
    inside = truth[:, ::2, ::2].float()
    assert planes.shape == (1, 2, 8, 12)
    assert planes[0, :, 1:7, :10].equal(inside)
    assert planes[0, :, 0, :10].equal(inside[:, 0])
    assert planes[0, :, 1:7, 11].equal(inside[..., -1])


@pytest.mark.parametrize('truth, meta, named', [
    ((8, 12), dict(flip=True), 'a.png is mirrored'),
    ((8, 8), {}, r'truth of a.png is \(8, 8\), the image .* \(8, 12\)')])
def test_truth_of_another_area_is_refused(truth, meta, named):
    with pytest.raises(ValueError, match=named):
        truth_planes([sample(torch.zeros(1, *truth), **meta)], 'truth', IMAGES)


def test_missing_truth_is_named():
    with pytest.raises(ValueError, match='a.png has no truth depth'):
        truth_planes([sample(torch.zeros(1, 8, 12))], 'depth', IMAGES)


def test_features_are_computed_the_first_time_round_alone():
    asked = []

    def extract(inputs, factor):
        asked.append(inputs.shape)
        return inputs.sum() * factor
    memory = FeatureMemory(extract, planes=1)
    images = torch.cat([torch.ones(1, 3, 2, 4), torch.full((1, 1, 2, 4), 7.)], 1)
    for _ in range(3):
        memory.rewind()
        assert memory(images, 2) == 48 and memory.truth.shape == (1, 1, 2, 4)
        assert memory(images[..., :1], 2) == 12 and memory.truth.shape == (1, 1, 2, 1)
        assert memory.truth.eq(7).all()
    assert asked == [(1, 3, 2, 4), (1, 3, 2, 1)]
