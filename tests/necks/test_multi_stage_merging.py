import pytest
import torch
from mmengine.registry import MODELS as ROOT

from ddp_perception.registry import MODELS
from tests import golden


def test_neck_equals_the_published_one(reference_dir):
    reference = golden.load('neck', reference_dir)
    meta = reference.meta
    norm = dict(type='GN', num_groups=meta['num_groups'])
    width = meta['out_channels']
    neck = ROOT.build([
        dict(type='mmseg.FPN', in_channels=meta['in_channels'], out_channels=width,
             num_outs=4, norm_cfg=norm, act_cfg=None),
        dict(type='ddp.MultiStageMerging', in_channels=[width] * 4,
             out_channels=width, norm_cfg=norm)])
    neck.load_state_dict({name.removeprefix('neck.'): value
                          for name, value in reference.under('w/').items()})
    with torch.no_grad():
        levels = neck[0]([reference[f'in/feat{level}'] for level in range(4)])
        merged, = neck[1](levels)
    for level in range(4):
        torch.testing.assert_close(levels[level], reference[f'out/fpn{level}'],
                                   rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(merged, reference['out/merged'], rtol=1e-5, atol=1e-5)


def test_levels_are_resized_to_the_first_and_concatenated():
    neck = MODELS.build(dict(type='ddp.MultiStageMerging', in_channels=[2, 3],
                             out_channels=4))
    fine, coarse = torch.randn(2, 2, 6, 8), torch.randn(2, 3, 3, 4)
    merged, = neck([fine, coarse])
    resized = torch.nn.functional.interpolate(coarse, (6, 8), mode='bilinear')
    torch.testing.assert_close(merged, torch.nn.functional.conv2d(
        torch.cat([fine, resized], 1), neck.down.conv.weight, neck.down.conv.bias))


def test_another_number_of_levels_is_named():
    neck = MODELS.build(dict(type='ddp.MultiStageMerging', in_channels=[2, 3],
                             out_channels=4))
    with pytest.raises(ValueError, match='2 feature levels, got 1'):
        neck([torch.randn(2, 2, 6, 8)])
