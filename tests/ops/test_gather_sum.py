import importlib
import sys

import pytest
import torch

from ddp_perception.ops import gather_sum, gather_sum_backend
from ddp_perception.ops.gather_sum import BACKENDS, PIECE, cut_bags, sum_of_pieces


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == 'triton':
        request.getfixturevalue('interpreted_triton')
    with gather_sum_backend(request.param):
        yield request.param


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=['float32', 'bfloat16'])
def problem(request):
    """Bags of one size and bags of any size of one table, in a dtype."""
    g = torch.Generator().manual_seed(0)
    table = torch.randn(11, 3, generator=g).to(request.param)
    index = torch.randint(0, 11, (6, 5), generator=g)
    weights = torch.randn(6, 5, generator=g).to(request.param)
    return table, index, weights


def _loop(table, bags):
    return torch.stack([sum((w * table[i] for i, w in bag), torch.zeros_like(table[0]))
                        for bag in bags])


def _bags(index, weights, offsets):
    bounds = [*offsets.tolist(), len(index)]
    return [list(zip(index[a:b], weights[a:b], strict=True))
            for a, b in zip(bounds, bounds[1:])]


def _close(ours, plain):
    """Compare with the sum in float64: one rounding of the result is allowed."""
    eps = torch.finfo(ours.dtype).eps
    assert (ours.double() - plain).abs().max() <= 4 * eps * plain.abs().max()


def test_bags_of_a_fixed_size_match_a_loop(backend, problem):
    table, index, weights = problem
    expected = _loop(table.double(), zip_rows(index, weights))
    out = gather_sum(table, index, weights)
    assert out.dtype == table.dtype
    _close(out, expected)


def zip_rows(index, weights):
    return [list(zip(i, w, strict=True))
            for i, w in zip(index, weights.double(), strict=True)]


def test_bags_of_any_size_match_a_loop_and_empty_ones_are_zero(backend, problem):
    table, index, weights = problem
    index, weights = index.flatten(), weights.flatten()
    offsets = torch.tensor([0, 4, 4, 7, 30])
    out = gather_sum(table, index, weights, offsets)
    _close(out, _loop(table.double(), _bags(index, weights.double(), offsets)))
    assert (out[1] == 0).all() and (out[4] == 0).all()


@pytest.mark.parametrize('kind', [torch.int32, torch.int64])
@pytest.mark.parametrize('offsets', [None, [0, 4, 4, 7, 30]],
                         ids=['fixed size', 'any size'])
def test_gradients_match_those_of_a_loop(backend, problem, kind, offsets):
    table, index, weights = problem
    index = index.to(kind)
    if offsets is not None:
        index, weights = index.flatten(), weights.flatten()
        offsets = torch.tensor(offsets, dtype=kind)
    bags = 6 if offsets is None else 5
    direction = torch.linspace(-1, 1, 3 * bags).view(bags, 3)
    inputs = [table.requires_grad_(), weights.requires_grad_()]
    ours = torch.autograd.grad(
        (gather_sum(table, index, weights, offsets).double() * direction).sum(), inputs)
    exact = [value.detach().double().requires_grad_() for value in inputs]
    rows = zip_rows(index.long(), exact[1]) if offsets is None else _bags(
        index.long(), exact[1], offsets)
    theirs = torch.autograd.grad((_loop(exact[0], rows) * direction).sum(), exact)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == table.dtype
        torch.testing.assert_close(
            one.double(), other, rtol=0,
            atol=16 * torch.finfo(table.dtype).eps * other.abs().max().item())


def test_mismatched_arguments_are_named():
    table = torch.zeros(7, 3)
    with pytest.raises(ValueError, match=r'\(5, 4\).*\(4, 5\)'):
        gather_sum(table, torch.zeros(5, 4, dtype=torch.long), torch.zeros(4, 5))
    with pytest.raises(ValueError, match='offsets'):
        gather_sum(table, torch.zeros(5, dtype=torch.long), torch.zeros(5))


def test_another_backend_is_named_and_a_choice_ends_with_its_block():
    with pytest.raises(ValueError, match="'grid_sample'"), \
            gather_sum_backend('grid_sample'):
        pass
    index, table = torch.zeros(2, 2, dtype=torch.long), torch.ones(3, 4)
    wide = torch.float64  # embedding_bag would return it too, but by another node
    with gather_sum_backend('gather'):
        inside = gather_sum(table.to(wide).requires_grad_(), index,
                            torch.ones(2, 2, dtype=wide))
    outside = gather_sum(table.requires_grad_(), index, torch.ones(2, 2))
    assert 'EmbeddingBag' in outside.grad_fn.name()
    assert 'EmbeddingBag' not in inside.grad_fn.name()


def test_triton_is_refused_where_it_is_missing_or_cannot_run(monkeypatch):
    table, index = torch.ones(3, 4), torch.zeros(2, 2, dtype=torch.long)
    if importlib.util.find_spec('triton'):
        with gather_sum_backend('triton'), pytest.raises(ValueError, match='on cpu'):
            gather_sum(table, index, torch.ones(2, 2))
    monkeypatch.setitem(sys.modules, 'triton', None)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='pip install triton'), \
            gather_sum_backend('triton'):
        pass


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['fp32', 'bf16', 'fp16'])
@pytest.mark.parametrize('fixed', [True, False])
def test_triton_kernels_compile_for_a_gpu_that_is_not_there(kind, fixed):
    compiler = pytest.importorskip('triton.compiler')
    target = importlib.import_module('triton.backends.compiler').GPUTarget
    kernels = importlib.import_module('ddp_perception.ops.triton_gather_sum')
    common = dict(table='*' + kind, index='*i32', weights='*' + kind)
    rest = dict(size='i32', channels='i32', FIXED='constexpr', WIDTH='constexpr')
    offsets = dict(offsets='constexpr' if fixed else '*i32')
    constants = {'FIXED': fixed, 'WIDTH': 32, **({'offsets': None} if fixed else {})}
    for kernel, more, instruction in [
            (kernels._sum_bags, dict(out='*' + kind), 'st.global'),
            (kernels._spread_gradients,
             dict(grad='*' + kind, of_table='*fp32', of_weights='*' + kind), 'atom')]:
        source = compiler.ASTSource(kernel, {**common, **offsets, **more, **rest},
                                    constexprs=constants)
        compiled = compiler.compile(source, target=target('cuda', 90, 32))
        assert instruction in compiled.asm['ptx'] and compiled.asm['cubin']


def test_exported_gather_sum_holds_gathers_and_no_embedding_bag():
    class Sum(torch.nn.Module):
        def forward(self, table, index, weights):
            return gather_sum(table, index, weights)

    arguments = (torch.randn(7, 3), torch.randint(0, 7, (5, 4)), torch.randn(5, 4))
    program = torch.export.export(Sum(), arguments)
    names = {str(node.target) for node in program.graph.nodes}
    assert any('index_select' in name for name in names)
    assert not any('embedding' in name for name in names)
    torch.testing.assert_close(program.module()(*arguments), gather_sum(*arguments))


@pytest.mark.parametrize('longest', [0, 1, PIECE, PIECE + 1, PIECE ** 2,
                                     PIECE ** 2 + 1, 3 * PIECE ** 2])
def test_pieces_hold_every_place_of_every_bag_once(longest):
    counts = torch.tensor([0, longest, 1, 0, 33, PIECE])
    offsets = counts.cumsum(0) - counts
    pieces = cut_bags(offsets, int(counts.sum()))
    values = torch.arange(1, int(counts.sum()) + 1, dtype=torch.float64)
    padded = torch.nn.functional.pad(values.square(), (1, 0))
    sums = padded[pieces.levels[0]].sum(1, keepdim=True)
    expected = [part.square().sum() for part in values.split(counts.tolist())]
    assert sum_of_pieces(sums, pieces)[:, 0].tolist() == expected
    assert {level.shape[1] for level in pieces.levels} == {PIECE}


def test_a_bag_that_no_levels_can_hold_is_named():
    with pytest.raises(ValueError, match=f'{PIECE ** 3}.*{PIECE ** 3 + 1}'):
        cut_bags(torch.tensor([0]), PIECE ** 3 + 1)
