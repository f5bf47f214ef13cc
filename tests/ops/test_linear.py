import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ddp_perception.cost import gflops_of
from ddp_perception.ops import PointwiseConv2d, linear, pointwise_conv
from ddp_perception.ops.linear import _AVAILABLE, ROWS, _Linear, dense

needs_onednn = pytest.mark.skipif(not _AVAILABLE, reason='PyTorch without oneDNN')


def layer(rows=7, channels=5, out=6, dtype=torch.float32, bias=True):
    g = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, rows, channels, generator=g),
             torch.randn(out, channels, generator=g),
             torch.randn(out, generator=g) if bias else None]
    return [part if part is None else part.to(dtype).requires_grad_()
            for part in parts]


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('widths', [(5, 6), (6, 5)])
@pytest.mark.parametrize('rows', [7, ROWS // 2 + 3])
def test_values_and_gradients_are_those_of_a_linear_layer(rows, widths, bias):
    parts = layer(rows, *widths, bias=bias)
    inputs = [part for part in parts if part is not None]
    exact = [part if part is None else part.detach().double().requires_grad_()
             for part in parts]
    out, plain = linear(*parts), F.linear(*exact)
    torch.testing.assert_close(out, plain.float())
    torch.testing.assert_close(linear(*[
        part if part is None else part.detach() for part in parts]), plain.float())
    for one, other in zip(
            torch.autograd.grad(out.square().sum(), inputs),
            torch.autograd.grad(plain.square().sum(), [
                part for part in exact if part is not None]), strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-5, atol=1e-4)


def test_gradients_match_differences_in_float64():
    assert torch.autograd.gradcheck(_Linear.apply, layer(dtype=torch.float64))


@needs_onednn
def test_float32_goes_by_onednn_unless_that_is_off_and_other_types_never_do():
    x, weight, bias = layer()
    assert '_Linear' in linear(x, weight, bias).grad_fn.name()
    with torch.backends.mkldnn.flags(enabled=False):
        assert '_Linear' not in linear(x, weight, bias).grad_fn.name()
    with torch.autocast('cpu', torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    assert linear(*layer(dtype=torch.float64)).dtype == torch.float64


def test_a_part_of_a_matrix_is_copied_and_a_whole_one_is_not():
    matrix = torch.randn(6, 8)
    for whole in (matrix, matrix.T, matrix[:3], matrix.T[:, :3]):
        assert dense(whole) is whole
    for part in (matrix[:, :4], matrix.T[:4], matrix[:, ::2]):
        assert dense(part).is_contiguous() and torch.equal(dense(part), part)
        with torch.no_grad():
            x = torch.randn(5, part.shape[1])
            torch.testing.assert_close(linear(x, part), x @ part.T)


@needs_onednn
def test_a_part_of_a_matrix_takes_about_as_long_as_a_copy_of_it():
    x, weight = torch.randn(512, 256), torch.randn(256, 512)[:, 256:]

    @torch.no_grad()
    def seconds(weight):
        start = time.thread_time()
        linear(x, weight)
        return time.thread_time() - start

    linear(x, weight)
    # Not copied it would be a thousand times as long.
    assert min(seconds(weight) for _ in range(3)) < 50 * min(
        seconds(weight.contiguous()) for _ in range(3))


def test_operations_are_counted():
    with torch.no_grad():
        assert gflops_of(lambda: linear(*layer())) == 2 * 2 * 7 * 5 * 6 / 1e9


def test_no_rows_give_no_rows():
    _, weight, bias = layer()
    assert linear(torch.zeros(2, 0, 5), weight, bias).shape == (2, 0, 6)


def test_a_convolution_of_one_cell_is_one():
    torch.manual_seed(0)
    ours, plain = PointwiseConv2d(5, 3), nn.Conv2d(5, 3, 1)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, 4, 7, requires_grad=True)
    inputs = [x, *ours.parameters()]
    torch.testing.assert_close(ours(x), plain(x))
    torch.testing.assert_close(pointwise_conv(x, plain.weight),
                               F.conv2d(x, plain.weight))
    for one, other in zip(
            torch.autograd.grad(ours(x).square().sum(), inputs),
            torch.autograd.grad(plain(x).square().sum(), [x, *plain.parameters()]),
            strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_graphs_that_leave_pytorch_hold_torchs_own_layers():
    class Both(nn.Module):
        def forward(self, x, weight):
            return pointwise_conv(linear(x, weight), weight[:, :, None, None])

    example = torch.randn(2, 5, 4, 5), torch.randn(5, 5)
    names = {str(node.target)
             for node in torch.export.export(Both(), example).graph.nodes}
    assert {'aten.linear.default', 'aten.conv2d.default'} <= names
    assert not any('mkldnn' in name or 'ddp' in name for name in names)


@needs_onednn
@pytest.mark.slow
@pytest.mark.parametrize('grad', [True, False])
def test_compiled_layers_have_the_same_values_and_gradients(grad):
    parts = layer()

    def call(x, weight, bias):
        return linear(x, weight, bias).relu()

    compiled = torch.compile(call, fullgraph=True)
    with torch.set_grad_enabled(grad):
        out, plain = compiled(*parts), call(*parts)
        torch.testing.assert_close(out, plain)
    if grad:
        for one, other in zip(torch.autograd.grad(out.square().sum(), parts),
                              torch.autograd.grad(plain.square().sum(), parts),
                              strict=True):
            torch.testing.assert_close(one, other)
