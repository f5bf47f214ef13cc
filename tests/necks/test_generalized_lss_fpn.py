import pytest
import torch
import torch.nn.functional as F

from ddp_perception.necks import GeneralizedLSSFPN


def test_coarsest_level_only_feeds_the_one_below():
    torch.manual_seed(0)
    neck = GeneralizedLSSFPN([4, 6], 5, norm_cfg=None, act_cfg=None,
                             upsample_cfg=dict(mode='nearest')).eval()
    fine, coarse = torch.randn(2, 4, 6, 10), torch.randn(2, 6, 3, 5)
    (out,) = neck([fine, coarse])
    merged = torch.cat([fine, coarse.repeat_interleave(2, 2)
                        .repeat_interleave(2, 3)], 1)
    lateral, smooth = neck.lateral_convs[0].conv, neck.fpn_convs[0].conv
    expected = F.conv2d(F.conv2d(merged, lateral.weight, lateral.bias),
                        smooth.weight, smooth.bias, padding=1)
    torch.testing.assert_close(out, expected)


def test_levels_before_start_level_are_not_used():
    neck = GeneralizedLSSFPN([4, 6, 8], 5, start_level=1)
    levels = neck([torch.zeros(1, 4, 8, 12), torch.zeros(1, 6, 4, 6),
                   torch.zeros(1, 8, 2, 3)])
    assert [tuple(x.shape) for x in levels] == [(1, 5, 4, 6)]


def test_wrong_numbers_of_levels_are_an_error():
    with pytest.raises(ValueError, match='at least two levels'):
        GeneralizedLSSFPN([4, 6], 5, start_level=1)
    with pytest.raises(ValueError, match='2 levels expected, got 1'):
        GeneralizedLSSFPN([4, 6], 5)([torch.zeros(1, 4, 8, 8)])
