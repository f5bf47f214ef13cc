"""From a sample to what a head gets."""
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from ddp_perception.study.encoding import Encoder
from ddp_perception.study.training import build_head
from tests.study.tiny import CLASSES, PALETTE, PLAIN


class Model(torch.nn.Module):
    """A segmentor whose features are its images, normalized and padded."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor = SegDataPreProcessor(
            mean=[10.] * 3, std=[1.] * 3, size=(8, 12), pad_val=0, seg_pad_val=255)
        self.decode_head = build_head(PLAIN, 'mmseg', 0)

    def extract_feat(self, images):
        return [images]


def sample(height, width):
    labels = torch.arange(height * width).view(1, height, width) % 3
    data = SegDataSample(gt_sem_seg=PixelData(data=labels))
    return dict(inputs=torch.full((3, height, width), 11, dtype=torch.uint8),
                data_samples=data), labels


def test_images_that_are_smaller_than_the_crop_are_padded_as_in_training():
    encode = Encoder(Model(), dict(classes=CLASSES, palette=PALETTE))
    one, labels = sample(6, 12)
    feats, truth = encode(one)
    assert feats.shape == (3, 8, 12) and truth.shape == (1, 8, 12)
    assert (feats[:, :6] == 1).all() and (feats[:, 6:] == 0).all()
    assert torch.equal(truth[:, :6], labels) and (truth[:, 6:] == 255).all()


def test_larger_images_stay_as_they_are():
    encode = Encoder(Model(), dict(classes=CLASSES, palette=PALETTE), truth_stride=2)
    one, labels = sample(10, 14)
    feats, truth = encode(one)
    assert feats.shape == (3, 10, 14)
    assert torch.equal(truth, labels[:, ::2, ::2])
