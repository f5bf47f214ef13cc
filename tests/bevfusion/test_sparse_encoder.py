import pytest
import torch
from torch import nn

from ddp_perception.bevfusion import BEVFusionSparseEncoder
from tests import golden

pytest.importorskip('spconv', reason='spconv is not installed')
SMALL = dict(in_channels=3, sparse_shape=[16, 24, 17], base_channels=4,
             output_channels=5, encoder_channels=((4, 6), (6, 6)),
             encoder_paddings=((0, 1), (0, 0)), block_type='basicblock')


def test_encoder_matches_the_published_numbers(reference_dir):
    numbers = golden.load('sparse_encoder', reference_dir)
    encoder = BEVFusionSparseEncoder(**numbers.meta['cfg'],
                                     return_middle_feats=True).eval()
    # mmdet3d's loader turns the published (kx, ky, kz, in, out) weights.
    encoder.load_state_dict(numbers.under('w/'))
    first = encoder.conv_input[0].weight
    assert torch.equal(first, numbers['w/conv_input.0.weight'].permute(
        4, 0, 1, 2, 3))
    with torch.no_grad():
        bev, stages = encoder(numbers['in/voxel_features'],
                              numbers['in/coors'], 2)
    torch.testing.assert_close(bev, numbers['out/output'], rtol=0, atol=1e-5)
    for i, stage in enumerate(stages):
        coors, order = stage.indices.long().unique(dim=0, return_inverse=True)
        features = torch.zeros_like(stage.features)
        features[order] = stage.features
        assert torch.equal(coors, numbers[f'out/stage{i}/coors'].long())
        torch.testing.assert_close(features, numbers[f'out/stage{i}/features'],
                                   rtol=0, atol=1e-5)


def voxels():
    g = torch.Generator().manual_seed(0)
    coors = torch.stack([torch.randint(0, n, (400,), generator=g)
                         for n in (2, *SMALL['sparse_shape'])], 1).unique(dim=0)
    return torch.randn(len(coors), 3, generator=g), coors.int()


def run(encoder, features, coors):
    encoder.zero_grad()
    features = features.clone().requires_grad_()
    out = encoder(features, coors, 2)
    weight = torch.linspace(-1, 1, out.numel()).view_as(out)
    (out * weight).sum().backward()
    return [out.detach(), features.grad,
            *(p.grad.clone() for p in encoder.parameters())]


def test_forward_and_backward_are_right_with_two_threads():
    torch.manual_seed(0)
    encoder = BEVFusionSparseEncoder(**SMALL)
    features, coors = voxels()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = run(encoder, features, coors)
        torch.set_num_threads(2)
        for _ in range(3):
            for one, other in zip(run(encoder, features, coors), expected):
                torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_first_layer_equals_a_dense_convolution_in_x_y_z_order():
    torch.manual_seed(0)
    encoder = BEVFusionSparseEncoder(**SMALL).eval()
    features, coors = voxels()
    dense = torch.zeros(2, 3, *SMALL['sparse_shape'])
    b, x, y, z = coors.long().T
    dense[b, :, x, y, z] = features
    conv, norm = encoder.conv_input[0], encoder.conv_input[1]
    expected = nn.functional.conv3d(
        dense, conv.weight.permute(0, 4, 1, 2, 3), padding=1)
    expected = norm(expected[b, :, x, y, z]).relu()
    seen = []
    encoder.conv_input.register_forward_hook(
        lambda module, args, out: seen.append(out.features))
    with torch.no_grad():
        bev = encoder(features, coors, 2)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)
    assert bev.shape[:1] + bev.shape[2:] == (2, 8, 12)


def test_encoder_runs_in_float32_under_autocast():
    torch.manual_seed(0)
    encoder = BEVFusionSparseEncoder(**SMALL).eval()
    features, coors = voxels()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        rough = encoder(features, coors, 2)
    with torch.no_grad():
        assert torch.equal(rough, encoder(features, coors, 2))
