import itertools

import numpy as np
import pytest
import torch
from scipy import special, stats

from ddp_perception.diffusion import (
    UNCERTAINTIES,
    Classes,
    Presences,
    Quantity,
    uncertainty,
)

DRAW = np.random.default_rng(0)
STEPS = 3 * DRAW.standard_normal((3, 2, 4, 5, 6, 7))  # steps, B, S, C, H, W
TENSORS = [torch.tensor(step) for step in STEPS]


def decisions(values, outcome):
    """(..., G, H, W) whole numbers that say what is decided."""
    if isinstance(outcome, Classes):
        return values.argmax(-3)[..., None, :, :]
    return (special.expit(values) > outcome.threshold).astype(int)


def entropies(values, outcome):
    """(..., G, H, W) by scipy, of probabilities."""
    if isinstance(outcome, Classes):
        return stats.entropy(values, axis=-3)[..., None, :, :]
    return stats.entropy(np.stack([values, 1 - values]), axis=0)


def probabilities(values, outcome):
    return special.softmax(values, -3) if isinstance(outcome, Classes) \
        else special.expit(values)


def passes(average):
    return STEPS[-1] if average == 'last' else np.concatenate(list(STEPS), 1)


@pytest.mark.parametrize('average', ['last', 'all'])
@pytest.mark.parametrize('outcome', [Classes(), Presences(), Presences(0.3)])
def test_entropy_and_mutual_information_are_scipys(outcome, average):
    values = probabilities(passes(average), outcome)
    total = entropies(values.mean(1), outcome)
    found = uncertainty('entropy', TENSORS, outcome, average)
    np.testing.assert_allclose(found, total, rtol=1e-5, atol=1e-6)
    own = entropies(values, outcome).mean(1)
    found = uncertainty('mutual_information', TENSORS, outcome, average)
    np.testing.assert_allclose(found, total - own, rtol=1e-4, atol=2e-6)
    assert (found >= 0).all()


@pytest.mark.parametrize('average', ['last', 'all'])
@pytest.mark.parametrize('outcome', [Classes(), Presences(), Presences(0.3)])
def test_disagreement_is_the_share_of_pairs_that_decide_apart(outcome, average):
    decided = np.moveaxis(decisions(passes(average), outcome), 1, 0)
    pairs = [a != b for a, b in itertools.combinations(decided, 2)]
    found = uncertainty('disagreement', TENSORS, outcome, average)
    np.testing.assert_allclose(found, np.mean(pairs, 0), rtol=1e-6)


@pytest.mark.parametrize('outcome', [Classes(), Presences()])
def test_changes_are_counted_from_step_to_step(outcome):
    decided = decisions(STEPS, outcome)
    expected = sum((decided[i] != decided[i + 1]).mean(1) for i in range(2))
    np.testing.assert_allclose(uncertainty('changes', TENSORS, outcome), expected)
    once = uncertainty('changes', TENSORS[:1], outcome)
    assert once.shape == expected.shape and not once.any()


def test_spread_is_a_standard_deviation():
    metres = STEPS[-1][:, :, :1]
    steps = [torch.tensor(step[:, :, :1]) for step in STEPS]
    np.testing.assert_allclose(uncertainty('spread', steps, Quantity()),
                               metres.std(1), rtol=1e-5)
    flow = uncertainty('spread', TENSORS, Quantity())  # of a vector: of its length
    np.testing.assert_allclose(flow, np.sqrt(STEPS[-1].var(1).sum(1, keepdims=True)),
                               rtol=1e-5)
    maps = uncertainty('spread', TENSORS, Presences())
    np.testing.assert_allclose(maps, special.expit(STEPS[-1]).std(1), rtol=1e-4)
    classes = uncertainty('spread', TENSORS, Classes())
    variance = special.softmax(STEPS[-1], 2).var(1).mean(1, keepdims=True)
    np.testing.assert_allclose(classes, np.sqrt(variance), rtol=1e-4)


def test_quantities_are_apart_beyond_the_tolerance():
    first = torch.tensor([10., 10., 0., 10.]).reshape(1, 1, 4)
    second = torch.tensor([10.09, 10.2, 0., -10.]).reshape(1, 1, 4)
    assert Quantity(0.01).differs(first, second).flatten().tolist() \
        == [False, True, False, True]
    both = torch.stack([first, second], 0)[None]
    assert uncertainty('disagreement', [both], Quantity(0.01)).flatten().tolist() \
        == [0, 1, 0, 1]


@pytest.mark.parametrize('kind', UNCERTAINTIES)
@pytest.mark.parametrize('outcome', [Classes(), Presences()])
def test_one_seed_is_compared_over_its_steps(kind, outcome):
    one = [step[:, :1] for step in TENSORS]
    found = uncertainty(kind, one, outcome)
    over = 'last' if kind == 'entropy' else 'all'
    torch.testing.assert_close(found, uncertainty(kind, one, outcome, over))
    assert found.any()


def test_sure_probabilities_have_no_entropy():
    sure = torch.tensor([-200., 200.]).reshape(1, 1, 2, 1, 1)
    for outcome in (Classes(), Presences()):
        for kind in ('entropy', 'mutual_information'):
            assert not uncertainty(kind, [sure, sure], outcome).any()


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match='Quantity has no entropy'):
        uncertainty('entropy', TENSORS, Quantity())
    with pytest.raises(ValueError, match="'changes'.*got 'variance'"):
        uncertainty('variance', TENSORS, Classes())
