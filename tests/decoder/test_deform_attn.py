import pytest
import torch
import torch.nn.functional as F

from ddp_perception.decoder import DeformableSelfAttention, sine_position

SIZE = (6, 9)


def _attention(channels=16, heads=4, points=3, spread=4.):
    attention = DeformableSelfAttention(channels, heads, points)
    # Offsets of several cells, so that many samples fall outside the map.
    torch.nn.init.normal_(attention.sampling_offsets.weight,
                          std=spread / channels ** 0.5)
    torch.nn.init.normal_(attention.attention_weights.weight)
    torch.nn.init.normal_(attention.value_proj.bias)
    return attention


def _by_grid_sample(attention, x, position, size):
    """The definition, with one grid_sample per head."""
    batch, cells, channels = x.shape
    heads, points = attention.num_heads, attention.num_points
    query = x + position
    offsets = attention.sampling_offsets(query).view(batch, cells, heads, points, 2)
    weights = attention.attention_weights(query).view(
        batch, cells, heads, points).softmax(-1)
    value = attention.value_proj(x).view(batch, *size, heads, -1).permute(0, 3, 4, 1, 2)
    index = torch.arange(cells)
    own = torch.stack([index % size[1], index // size[1]], 1).float()
    place = own[None, :, None, None] + offsets
    grid = (place + 0.5) / torch.tensor([size[1], size[0]]) * 2 - 1
    out = []
    for head in range(heads):
        samples = F.grid_sample(value[:, head], grid[:, :, head], align_corners=False)
        out.append((samples * weights[:, :, head][:, None]).sum(-1))
    return attention.output_proj(torch.cat(out, 1).mT)


def test_attention_matches_grid_sample_with_gradients():
    torch.manual_seed(0)
    attention = _attention()
    position = sine_position(16, SIZE)
    x = torch.randn(2, 54, 16, requires_grad=True)
    ours = attention(x, attention.position_term(position, SIZE), x, SIZE)
    theirs = _by_grid_sample(attention, x, position, SIZE)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    direction = torch.randn_like(ours)
    inputs = [x, *attention.parameters()]
    for got, expected in zip(torch.autograd.grad((ours * direction).sum(), inputs),
                             torch.autograd.grad((theirs * direction).sum(), inputs),
                             strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_attention_matches_mmcv():
    ops = pytest.importorskip('mmcv.ops')
    torch.manual_seed(0)
    stock = ops.MultiScaleDeformableAttention(16, 4, 1, 3, dropout=0., batch_first=True)
    ours = _attention()
    stock.load_state_dict(ours.state_dict())
    x, position = torch.randn(2, 54, 16), sine_position(16, SIZE)
    rows, cols = torch.meshgrid((torch.arange(6) + 0.5) / 6,
                                (torch.arange(9) + 0.5) / 9, indexing='ij')
    with torch.no_grad():
        expected = stock(
            x, identity=torch.zeros_like(x), query_pos=position[None].expand(2, -1, -1),
            reference_points=torch.stack([cols, rows], -1).view(1, -1, 1, 2).expand(
                2, -1, -1, -1),
            spatial_shapes=torch.tensor([SIZE]), level_start_index=torch.tensor([0]))
        got = ours(x, ours.position_term(position, SIZE), x, SIZE)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_samples_outside_the_map_count_as_zero():
    attention = _attention()
    torch.nn.init.zeros_(attention.sampling_offsets.weight)
    torch.nn.init.constant_(attention.sampling_offsets.bias, 50.)
    x = torch.randn(1, 54, 16)
    out = attention(x, attention.position_term(sine_position(16, SIZE), SIZE), x, SIZE)
    torch.testing.assert_close(out, attention.output_proj.bias.expand_as(out))


def test_bfloat16_keeps_positions_exact():
    torch.manual_seed(0)
    attention = _attention(spread=0.5)
    size = (40, 300)
    x, position = torch.randn(1, 12000, 16), sine_position(16, size)
    with torch.no_grad():
        exact = attention(x, attention.position_term(position, size), x, size)
        with torch.autocast('cpu', torch.bfloat16):
            fast = attention(x, attention.position_term(position, size), x, size)
    # Positions rounded to bfloat16 would miss by a cell from column 256 on.
    assert fast.dtype == torch.bfloat16
    assert (fast - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_impossible_sizes_are_named():
    with pytest.raises(ValueError, match='num_heads = 3'):
        DeformableSelfAttention(16, 3)
    attention = _attention()
    with pytest.raises(ValueError, match=r'\(1, 54\)'):
        attention.position_term(sine_position(16, (1, 54)), (1, 54))
