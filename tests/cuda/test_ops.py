"""Every backend on a GPU against the naive sums of the CPU."""
from functools import partial

import pytest
import torch

from ddp_perception.ops import (
    gather_sum,
    gather_sum_backend,
    map_sampling,
    sample_map,
)
from ddp_perception.ops.bev_pool import bags_from_cells, bev_pool, cells_along_rays
from tests.ops.test_bev_pool import pool_by_outer_product, random_problem
from tests.ops.test_gather_sum import _bags, _loop, zip_rows
from tests.ops.test_map_sampling import SIZE, loop
from tests.ops.test_map_sampling import problem as map_problem


def by_mmcv():
    """Sample by mmcv's kernel, or skip where it was compiled for CPUs alone."""
    ops = pytest.importorskip('mmcv.ops')
    if ops.get_compiling_cuda_version() == 'not available':
        pytest.skip('mmcv is compiled without CUDA')
    from ddp_perception.heads.mmcv_sampling import mmcv_sampling
    return map_sampling(mmcv_sampling)


pytestmark = pytest.mark.gpu
WAYS = {**{name: partial(gather_sum_backend, name)
           for name in ('embedding_bag', 'gather', 'triton')},
        'kernels': partial(map_sampling, 'triton'),
        'grid_sample': partial(map_sampling, 'grid_sample'), 'mmcv': by_mmcv}


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('offsets', [None, [0, 4, 4, 7, 30]],
                         ids=['fixed size', 'any size'])
@pytest.mark.parametrize('name', ['embedding_bag', 'gather', 'triton'])
def test_sums_and_gradients_match_a_loop(gpu, name, offsets, dtype):
    if gpu == 'cpu' and name == 'triton':
        pytest.skip('the kernels need a GPU')
    draw = torch.Generator().manual_seed(0)
    table = torch.randn(11, 3, generator=draw).to(dtype)
    index = torch.randint(0, 11, (6, 5), generator=draw).int()
    weights = torch.randn(6, 5, generator=draw).to(dtype)
    if offsets is not None:
        index, weights = index.flatten(), weights.flatten()
        offsets = torch.tensor(offsets, dtype=torch.int32)
    exact = [part.double().requires_grad_() for part in (table, weights)]
    plain = _loop(exact[0], zip_rows(index.long(), exact[1]) if offsets is None
                  else _bags(index.long(), exact[1], offsets))
    inputs = [part.to(gpu).requires_grad_() for part in (table, weights)]
    with gather_sum_backend(name):
        out = gather_sum(inputs[0], index.to(gpu), inputs[1],
                         None if offsets is None else offsets.to(gpu))
    direction = torch.linspace(-1, 1, plain.numel(), dtype=torch.float64
                               ).view_as(plain)
    ours = torch.autograd.grad((out.double() * direction.to(gpu)).sum(), inputs)
    theirs = torch.autograd.grad((plain * direction).sum(), exact)
    assert out.dtype == dtype
    for one, other in [(out, plain), *zip(ours, theirs, strict=True)]:
        least = 16 * torch.finfo(dtype).eps * other.abs().max()
        assert (one.double().cpu() - other).abs().max() <= least


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('name', WAYS)
def test_samples_and_their_gradients_match_a_loop(gpu, name, dtype):
    if gpu == 'cpu' and name in ('triton', 'kernels', 'mmcv'):
        pytest.skip('the kernels need a GPU')
    inputs = [part.detach().to(gpu).requires_grad_()
              for part in map_problem(31, dtype)]
    exact = [part.detach().double().cpu().requires_grad_() for part in inputs]
    with WAYS[name]():
        ours = sample_map(*inputs, SIZE)
    plain = loop(*exact)
    direction = torch.linspace(-1, 1, plain.numel(), dtype=torch.float64
                               ).view_as(plain)
    gradients = torch.autograd.grad(
        (ours.double() * direction.to(gpu)).sum(), inputs)
    expected = torch.autograd.grad((plain * direction).sum(), exact)
    eps = torch.finfo(dtype).eps
    for one, other in [(ours, plain), *zip(gradients, expected, strict=True)]:
        assert (one.double().cpu() - other).abs().max() <= 16 * eps * other.abs().max()


def test_pooling_and_its_gradients_equal_the_outer_product(gpu):
    depth, features, cells, count = random_problem(
        images=3, depths=11, pixels=35, channels=8, cells=40)
    direction = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    results = []
    for device in (gpu, 'cpu'):
        inputs = [part.to(device).requires_grad_() for part in (depth, features)]
        if device == gpu:
            out = bev_pool(*inputs, bags_from_cells(cells.to(gpu), count))
        else:
            out = pool_by_outer_product(*inputs, cells, count)
        gradients = torch.autograd.grad((out * direction.to(device)).sum(), inputs)
        results.append([part.cpu() for part in (out, *gradients)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_cells_of_lifted_pixels_are_those_of_the_cpu(gpu):
    draw = torch.Generator().manual_seed(0)
    starts = torch.randn(2, 3, generator=draw)
    rays, depths = torch.randn(2, 3, 50, generator=draw), torch.arange(1., 20.)
    ours = cells_along_rays(starts.to(gpu), rays.to(gpu), depths.to(gpu), (9, 9, 2))
    theirs = cells_along_rays(starts, rays, depths, (9, 9, 2))
    assert (theirs >= 0).any() and (ours.cpu() != theirs).float().mean() < 1e-3
