import pytest
import torch

from ddp_perception.backbones import BEVUNet


def test_features_have_the_stride_of_the_first_stage_on_odd_sizes_too():
    net = BEVUNet(3, 8, blocks=((1, 4, 2), (1, 8, 2), (1, 8, 2))).eval()
    assert net(torch.rand(2, 3, 26, 35)).shape == (2, 8, 13, 18)
    net = BEVUNet(3, 8, blocks=((1, 4, 4), (1, 8, 2))).eval()
    assert net(torch.rand(2, 3, 24, 36)).shape == (2, 8, 6, 9)


def test_a_cell_sees_sixty_metres_of_the_map_and_every_parameter_learns():
    torch.manual_seed(0)
    net = BEVUNet(3)
    maps = torch.rand(2, 3, 200, 200, requires_grad=True)
    feats = net.eval()(maps)
    assert feats.shape == (2, 48, 100, 100)
    feats[0, :, 50, 50].sum().backward()
    seen = maps.grad[0].abs().sum(0) > 0
    for axis in (0, 1):
        cells = seen.any(axis).nonzero().flatten()
        assert 0.5 * (cells[-1] - cells[0]) > 60
    assert not maps.grad[1].any()
    assert all(parameter.grad is not None for parameter in net.parameters())
    assert sum(parameter.numel() for parameter in net.parameters()) < 1.2e6


def test_stages_are_needed():
    with pytest.raises(ValueError, match='at least one stage'):
        BEVUNet(3, blocks=())
