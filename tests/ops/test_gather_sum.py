import pytest
import torch

from ddp_perception.ops import gather_sum


def _loop(table, bags):
    return torch.stack([sum((w * table[i] for i, w in bag), torch.zeros_like(table[0]))
                        for bag in bags])


def test_bags_of_a_fixed_size_match_a_loop():
    table, index = torch.randn(7, 3), torch.randint(0, 7, (5, 4))
    weights = torch.randn(5, 4)
    expected = _loop(table, [zip(i, w, strict=True)
                             for i, w in zip(index, weights, strict=True)])
    torch.testing.assert_close(gather_sum(table, index, weights), expected)


def test_bags_of_any_size_match_a_loop_and_empty_ones_are_zero():
    table, index, weights = torch.randn(7, 3), torch.randint(0, 7, (9,)), torch.randn(9)
    offsets = torch.tensor([0, 4, 4, 7, 9])
    bags = [zip(index[a:b], weights[a:b], strict=True)
            for a, b in zip(offsets, [*offsets[1:], 9], strict=True)]
    out = gather_sum(table, index, weights, offsets)
    torch.testing.assert_close(out, _loop(table, bags))
    assert (out[1] == 0).all() and (out[4] == 0).all()


@pytest.mark.parametrize('dtype', [torch.int32, torch.int64])
def test_gradients_match_those_of_a_gather(dtype):
    table = torch.randn(7, 3, requires_grad=True)
    weights = torch.randn(5, 4, requires_grad=True)
    index = torch.randint(0, 7, (5, 4), dtype=dtype)
    direction = torch.randn(5, 3)
    ours = torch.autograd.grad((gather_sum(table, index, weights) * direction).sum(),
                               [table, weights])
    plain = (table[index.long()] * weights[..., None]).sum(1)
    theirs = torch.autograd.grad((plain * direction).sum(), [table, weights])
    torch.testing.assert_close(ours, theirs)


def test_mismatched_arguments_are_named():
    table = torch.zeros(7, 3)
    with pytest.raises(ValueError, match=r'\(5, 4\).*\(4, 5\)'):
        gather_sum(table, torch.zeros(5, 4, dtype=torch.long), torch.zeros(4, 5))
    with pytest.raises(ValueError, match='offsets'):
        gather_sum(table, torch.zeros(5, dtype=torch.long), torch.zeros(5))
