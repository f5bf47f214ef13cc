import pytest
import torch

from ddp_perception.diffusion import DepthCodec
from ddp_perception.diffusion.depth_codec import fill_from_blocks, shrink_valid


def sparse(share=0.1, size=(32, 48)):
    draw = torch.Generator().manual_seed(0)
    depth = 2 + 70 * torch.rand(2, 1, *size, generator=draw)
    return depth * (torch.rand(2, 1, *size, generator=draw) < share)


def test_depth_survives_the_round_trip():
    codec = DepthCodec(1., 80.)
    depth = 1 + 79 * torch.rand(2, 1, 4, 6)
    for z in (codec.encode(depth, (4, 6)), codec.encode_prediction(depth, (4, 6))):
        assert z.abs().max() <= 0.1
        torch.testing.assert_close(codec.decode(z), depth, rtol=1e-5, atol=1e-4)


def test_the_range_maps_to_the_scale():
    codec = DepthCodec(2., 10., scale=0.5)
    depth = torch.tensor([2., 6., 10.]).reshape(1, 1, 1, 3)
    z = torch.tensor([-0.5, 0., 0.5]).reshape(1, 1, 1, 3)
    torch.testing.assert_close(codec.encode(depth, (1, 3)), z)
    torch.testing.assert_close(codec.decode(z), depth)


def test_feedback_is_clamped_to_the_range():
    codec = DepthCodec(2., 10.)
    depth = torch.tensor([0., 400.]).reshape(1, 1, 1, 2)
    assert codec.encode_prediction(depth, (1, 2)).flatten().tolist() \
        == pytest.approx([-0.1, 0.1])


def test_cells_with_returns_hold_the_mean_of_their_returns():
    depth = sparse()
    for mode in ('fill', 'centre'):
        codec = DepthCodec(1e-3, 80., sparse_truth=mode)
        metres = codec.decode(codec.encode(depth, (8, 12)))
        found = 0
        for item, row, col in torch.cartesian_prod(*map(torch.arange, (2, 8, 12))):
            block = depth[item, 0, 4 * row:4 * row + 4, 4 * col:4 * col + 4]
            if (block > 0).any():
                found += 1
                mean = block[block > 0].mean()
                torch.testing.assert_close(metres[item, 0, row, col], mean,
                                           rtol=1e-4, atol=1e-4)
        assert 20 < found < 192


def test_bilinear_truth_mixes_missing_returns_in_and_the_default_does_not():
    depth = torch.zeros(1, 1, 16, 24)
    depth[..., ::3, ::3] = 50.
    for mode in ('fill', 'centre'):
        codec = DepthCodec(1e-3, 80., sparse_truth=mode)
        metres = codec.decode(codec.encode(depth, (4, 6)))
        torch.testing.assert_close(metres, torch.full_like(metres, 50.))
    codec = DepthCodec(1e-3, 80., sparse_truth='bilinear')
    metres = codec.decode(codec.encode(depth, (4, 6)))
    torch.testing.assert_close(metres, torch.nn.functional.interpolate(
        depth, (4, 6), mode='bilinear'), rtol=1e-4, atol=1e-4)
    assert (metres < 25).float().mean() > 0.8


def test_cells_without_returns_take_the_smallest_block_around_them():
    depth = torch.zeros(1, 1, 4, 6)
    depth[0, 0, 0, 0], depth[0, 0, 1, 1], depth[0, 0, 3, 5] = 10., 20., 60.
    filled = DepthCodec(1e-3, 80.)
    metres = filled.decode(filled.encode(depth, (4, 6)))[0, 0]
    expected = torch.tensor([
        # 2 x 2 blocks: {10, 20}, none, none / none, none, {60}; then 4 x 4
        # blocks: the left one knows {15}, the right one (columns 4, 5) {60}.
        [10, 15, 15, 15, 60, 60],
        [15, 20, 15, 15, 60, 60],
        [15, 15, 15, 15, 60, 60],
        [15, 15, 15, 15, 60, 60]], dtype=torch.float32)
    torch.testing.assert_close(metres, expected, rtol=1e-4, atol=1e-4)
    centred = DepthCodec(1e-3, 80., sparse_truth='centre').encode(depth, (4, 6))[0, 0]
    assert (centred[depth[0, 0] == 0] == 0).all()


def test_filling_gives_each_image_what_it_gets_alone():
    depth = sparse(0.02, (11, 7))
    depth[0, :, :, 3:] = 0
    codec = DepthCodec(1e-3, 80.)
    together = codec.encode(depth, (11, 7))
    torch.testing.assert_close(together[:1], codec.encode(depth[:1], (11, 7)))
    known = depth > 0
    assert torch.equal(fill_from_blocks(together * known, known), together)


@pytest.mark.parametrize('mode', ['fill', 'centre'])
def test_truth_without_any_return_is_the_middle_of_the_range(mode):
    codec = DepthCodec(1e-3, 80., sparse_truth=mode)
    assert (codec.encode(torch.zeros(2, 1, 8, 12), (2, 3)) == 0).all()


def test_truth_beyond_the_range_is_clamped_unless_bilinear():
    depth = torch.full((1, 1, 4, 8), 120.)
    for mode, top in (('fill', 0.1), ('centre', 0.1), ('bilinear', 0.1 * 159 / 79)):
        z = DepthCodec(1., 80., sparse_truth=mode).encode(depth, (1, 2))
        assert z.max() == pytest.approx(top)


def test_sizes_need_not_divide():
    depth, known = shrink_valid(sparse(1.), (5, 9))
    assert known.all() and depth.shape == (2, 1, 5, 9)
    assert depth.min() >= 2 and depth.max() <= 72


@pytest.mark.parametrize(('changes', 'words'), [
    (dict(min_depth=80.), 'min_depth'), (dict(min_depth=-1.), '-1'),
    (dict(scale=0.), 'scale'), (dict(sparse_truth='mean'), 'mean')])
def test_bad_settings_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        DepthCodec(**{**dict(min_depth=1., max_depth=80.), **changes})
