import pytest
import torch
import torch.nn.functional as F

from ddp_perception.ops import feed_forward
from ddp_perception.ops.feed_forward import ROWS, _FeedForward


def problem(rows=5, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    shapes = (2, rows, 4), (6, 4), (6,), (4, 6), (4,)
    return [torch.randn(shape, generator=g).to(dtype).requires_grad_()
            for shape in shapes]


def plain(x, expand, expand_bias, reduce, reduce_bias):
    return x + F.linear(F.gelu(F.linear(x, expand, expand_bias)), reduce, reduce_bias)


@pytest.mark.parametrize('rows', [5, ROWS + 3])
def test_values_and_gradients_are_those_of_two_layers(rows):
    parts = problem(rows)
    exact = [part.detach().double().requires_grad_() for part in parts]
    out, expected = feed_forward(*parts), plain(*exact)
    torch.testing.assert_close(out, expected.float(), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(feed_forward(*parts), out)
    for one, other in zip(torch.autograd.grad(out.square().mean(), parts),
                          torch.autograd.grad(expected.square().mean(), exact),
                          strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-5)


def test_gradients_match_differences_in_float64():
    assert torch.autograd.gradcheck(_FeedForward.apply, problem(dtype=torch.float64))


def test_autocast_rounds_like_two_layers():
    parts = problem(ROWS + 3)
    with torch.autocast('cpu', torch.bfloat16):
        out, expected = feed_forward(*parts), plain(*parts)
        with torch.no_grad():
            assert torch.equal(feed_forward(*parts), out)
    assert out.dtype == expected.dtype == torch.float32
    added, others = ((one - parts[0]).bfloat16() for one in (out, expected))
    torch.testing.assert_close(added, others)
    gradients = torch.autograd.grad(out.float().square().mean(), parts)
    for one, other in zip(gradients, torch.autograd.grad(
            expected.float().square().mean(), parts), strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.01 * other.norm()


def test_nothing_of_the_hidden_width_is_kept():
    parts, kept = problem(300), []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        feed_forward(*parts)
    assert sum(kept) <= sum(part.numel() for part in parts)
