import copy

import pytest
import torch
from mmdet3d.models.voxel_encoders import PillarFeatureNet

from ddp_perception.registry import MODELS

COMMON = dict(in_channels=5, feat_channels=[8], voxel_size=[0.8, 0.8, 8.],
              point_cloud_range=[-8., -8., -5., 8., 8., 3.])
SCALES = dict(point_scale=[50., 50., 1., 60., 0.2], offset_scale=[0.3, 0.4, 0.5])


def _pillars():
    draw = torch.Generator().manual_seed(0)
    points = torch.randn(6, 4, 5, generator=draw)
    counts = torch.tensor([4, 3, 1, 2, 4, 4], dtype=torch.int32)
    points *= (torch.arange(4)[None] < counts[:, None])[..., None]
    coors = torch.randint(0, 20, (6, 4), generator=draw)
    coors[:, :2] = 0
    return points, counts, coors


def test_scaling_equals_stock_pillars_with_scaled_weights():
    ours = MODELS.build(dict(type='ddp.ScaledPillarFeatureNet', **COMMON, **SCALES)).eval()
    stock = PillarFeatureNet(with_distance=False, legacy=False, **COMMON).eval()
    state = ours.state_dict()
    scale = torch.tensor(SCALES['point_scale'] + 2 * SCALES['offset_scale'])
    state['pfn_layers.0.linear.weight'] = state['pfn_layers.0.linear.weight'] / scale
    stock.load_state_dict(state)
    torch.testing.assert_close(ours(*_pillars()), stock(*_pillars()))


def test_a_copy_works_and_the_input_stays_as_it_was():
    ours = MODELS.build(dict(type='ddp.ScaledPillarFeatureNet', **COMMON, **SCALES)).eval()
    points, counts, coors = _pillars()
    before = points.clone()
    torch.testing.assert_close(copy.deepcopy(ours)(points, counts, coors),
                               ours(points, counts, coors))
    assert torch.equal(points, before)


@pytest.mark.parametrize('wrong', [dict(point_scale=[1.] * 4),
                                   dict(offset_scale=[1., 0., 1.])])
def test_wrong_scales_are_named(wrong):
    with pytest.raises(ValueError, match='scale'):
        MODELS.build(dict(type='ddp.ScaledPillarFeatureNet',
                          **{**COMMON, **SCALES, **wrong}))
