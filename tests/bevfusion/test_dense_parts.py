import pytest
import torch
from mmdet3d.models.backbones import SECOND
from mmdet3d.models.necks import SECONDFPN

from ddp_perception.bevfusion import LSSFPN, ConvFuser, GeneralizedResNet
from ddp_perception.necks import GeneralizedLSSFPN
from tests import golden


@pytest.fixture(scope='module')
def numbers(reference_dir):
    return golden.load('bev_dense_modules', reference_dir)


def loaded(module, numbers, name):
    module.load_state_dict(numbers.under(f'w/{name}/'))
    return module.eval()


def assert_close(ours, published):
    torch.testing.assert_close(ours, published, rtol=0, atol=1e-5)


def test_conv_fuser_matches_the_published_numbers(numbers):
    fuser = loaded(ConvFuser(**numbers.meta['cfg']['fuser']), numbers, 'conv_fuser')
    assert_close(fuser([numbers[f'in/conv_fuser/{i}'] for i in range(2)]),
                 numbers['out/conv_fuser'])


def test_camera_decoder_matches_the_published_numbers(numbers):
    cfg = numbers.meta['cfg']
    backbone = loaded(GeneralizedResNet(**cfg['resnet']), numbers,
                      'generalized_resnet')
    neck = loaded(LSSFPN(**cfg['lssfpn']), numbers, 'lssfpn')
    levels = backbone(numbers['in/generalized_resnet'])
    for i, level in enumerate(levels):
        assert_close(level, numbers[f'out/generalized_resnet/{i}'])
    assert_close(neck(levels), numbers['out/lssfpn'])


def test_mmdet3ds_second_matches_the_published_numbers(numbers):
    cfg = numbers.meta['cfg']
    backbone = loaded(SECOND(**cfg['second']), numbers, 'second')
    neck = loaded(SECONDFPN(**cfg['secondfpn']), numbers, 'secondfpn')
    levels = backbone(numbers['in/second'])
    for i, level in enumerate(levels):
        assert_close(level, numbers[f'out/second/{i}'])
    assert_close(neck(levels)[0], numbers['out/secondfpn'])


def test_image_neck_matches_the_published_numbers(numbers):
    neck = loaded(GeneralizedLSSFPN(**numbers.meta['cfg']['glss']), numbers,
                  'generalized_lss_fpn')
    levels = neck([numbers[f'in/generalized_lss_fpn/{i}'] for i in range(3)])
    assert len(levels) == 2
    for i, level in enumerate(levels):
        assert_close(level, numbers[f'out/generalized_lss_fpn/{i}'])


def test_lssfpn_rejects_three_maps():
    with pytest.raises(ValueError, match='merges two maps'):
        LSSFPN([1, 2, 3], 4)
