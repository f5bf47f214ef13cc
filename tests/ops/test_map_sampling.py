import importlib
from contextlib import nullcontext
from functools import partial

import pytest
import torch

from ddp_perception.ops import gather_sum_backend, map_sampling, sample_map

SIZE = (4, 6)
WAYS = {'default': nullcontext, 'gather': partial(gather_sum_backend, 'gather'),
        'triton sums': partial(gather_sum_backend, 'triton'),
        'triton': partial(map_sampling, 'triton'),
        'grid_sample': partial(map_sampling, 'grid_sample')}


@pytest.fixture(params=WAYS)
def way(request):
    if 'triton' in request.param:
        request.getfixturevalue('interpreted_triton')
    with WAYS[request.param]():
        yield request.param


def problem(cells=5, dtype=torch.float32, wide=torch.float32):
    """Two maps, and positions that lie in part outside of them."""
    g = torch.Generator().manual_seed(0)
    shape = 2, cells, 2, 3
    value = torch.randn(2, SIZE[0] * SIZE[1], 2, 3, generator=g).to(dtype)
    col = torch.rand(shape, generator=g, dtype=wide) * (SIZE[1] + 3) - 2
    row = torch.rand(shape, generator=g, dtype=wide) * (SIZE[0] + 3) - 2
    attention = torch.rand(shape, generator=g, dtype=wide)
    return [part.requires_grad_() for part in (value, col, row, attention)]


def loop(value, col, row, attention):
    """The definition, sample by sample."""
    out = []
    for b, n, h in torch.cartesian_prod(*map(torch.arange, col.shape[:3])).tolist():
        total = value.new_zeros(value.shape[3])
        for p in range(col.shape[3]):
            x, y = col[b, n, h, p], row[b, n, h, p]
            left, top = int(x.detach().floor()), int(y.detach().floor())
            for i, j in ((top, left), (top, left + 1), (top + 1, left),
                         (top + 1, left + 1)):
                if 0 <= i < SIZE[0] and 0 <= j < SIZE[1]:
                    share = (1 - (x - j).abs()) * (1 - (y - i).abs())
                    total = total + (attention[b, n, h, p] * share
                                     * value[b, i * SIZE[1] + j, h])
        out.append(total)
    return torch.stack(out).view(*col.shape[:3], -1)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('cells', [5, 31])
def test_samples_and_gradients_match_a_loop(way, dtype, cells):
    inputs = problem(cells, dtype)
    exact = [part.detach().double().requires_grad_() for part in inputs]
    ours, plain = sample_map(*inputs, SIZE), loop(*exact)
    assert ours.dtype == dtype and ours.shape == (2, cells, 2, 3)
    eps = torch.finfo(dtype).eps
    direction = torch.linspace(-1, 1, plain.numel(), dtype=torch.float64
                               ).view_as(plain)
    gradients = torch.autograd.grad((ours.double() * direction).sum(), inputs)
    expected = torch.autograd.grad((plain * direction).sum(), exact)
    for one, other in [(ours, plain), *zip(gradients, expected, strict=True)]:
        assert (one.double() - other).abs().max() <= 16 * eps * other.abs().max()
    assert [part.dtype for part in gradients] == [part.dtype for part in inputs]


@pytest.mark.parametrize('name', ['default', 'grid_sample'])
def test_gradients_match_differences_in_float64(name):
    inputs = problem(dtype=torch.float64, wide=torch.float64)
    with WAYS[name]():
        assert torch.autograd.gradcheck(lambda *parts: sample_map(*parts, SIZE), inputs)


@pytest.mark.parametrize('frozen', range(4))
def test_only_wanted_gradients_are_made(frozen):
    inputs = problem()
    expected = torch.autograd.grad(sample_map(*inputs, SIZE).square().sum(), inputs)
    inputs[frozen].requires_grad_(False)
    rest = [part for part in inputs if part.requires_grad]
    gradients = torch.autograd.grad(sample_map(*inputs, SIZE).square().sum(), rest)
    for one, other in zip(gradients, expected[:frozen] + expected[frozen + 1:],
                          strict=True):
        torch.testing.assert_close(one, other)


def test_training_on_a_cpu_keeps_the_arguments_alone():
    inputs, kept = problem(), []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        sample_map(*inputs, SIZE)
    assert sum(kept) == sum(part.numel() for part in inputs)


def test_a_function_may_be_handed_in_and_a_choice_ends_with_its_block():
    inputs = problem()
    with map_sampling(lambda value, *others: value[:, :5] * 0):
        assert (sample_map(*inputs, SIZE) == 0).all()
    assert (sample_map(*inputs, SIZE) != 0).any()
    names = "'gather_sum', 'triton', 'grid_sample'"
    with pytest.raises(ValueError, match=f"{names}.*'nearest'"), \
            map_sampling('nearest'):
        pass


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['fp32', 'bf16', 'fp16'])
def test_triton_kernels_compile_for_a_gpu_that_is_not_there(kind):
    compiler = pytest.importorskip('triton.compiler')
    target = importlib.import_module('triton.backends.compiler').GPUTarget
    kernels = importlib.import_module('ddp_perception.ops.triton_map_sampling')
    places = dict.fromkeys(('col', 'row', 'attention'), '*fp32')
    of_places = {f'of_{name}': '*fp32' for name in places}
    sizes = dict.fromkeys(
        ('map_cells', 'cells', 'heads', 'channels', 'height', 'width'), 'i32')
    constants = dict(POINTS=4, CELLS=32, WIDTH=32)
    for kernel, more, instruction in [
            (kernels._sample, dict(out='*' + kind), 'st.global'),
            (kernels._spread, dict(grad='*' + kind, of_value='*fp32', **of_places),
             'red')]:
        source = compiler.ASTSource(
            kernel, {'value': '*' + kind, **places, **more, **sizes,
                     **dict.fromkeys(constants, 'constexpr')}, constexprs=constants)
        compiled = compiler.compile(source, target=target('cuda', 90, 32))
        assert instruction in compiled.asm['ptx'] and compiled.asm['cubin']
