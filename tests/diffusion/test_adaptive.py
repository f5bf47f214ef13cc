import math

import numpy as np
import pytest
import torch

from ddp_perception.diffusion import (
    Classes,
    Presences,
    Quantity,
    Sampler,
    cells_to_refine,
)


def probabilities(logits, kind):
    if kind is Classes:
        odds = np.exp(logits)
        return odds / odds.sum(0)
    return 1 / (1 + np.exp(-logits))


def doubts(logits, kind):
    """Entropy and decision of each cell, by a loop."""
    _, height, width = logits.shape
    entropy, decided = np.zeros((height, width)), {}
    for i in range(height):
        for j in range(width):
            values = probabilities(logits[:, i, j], kind)
            if kind is Classes:
                entropy[i, j] = -sum(p * math.log(p) for p in values)
                decided[i, j] = int(values.argmax())
            else:
                entropy[i, j] = np.mean([-p * math.log(p) - (1 - p) * math.log(1 - p)
                                         for p in values])
                decided[i, j] = tuple(values > 0.5)
    return entropy, decided


@pytest.mark.parametrize('kind', [Classes, Presences])
@pytest.mark.parametrize('with_before', [False, True])
def test_changed_cells_come_first_and_uncertain_ones_after_them(kind, with_before):
    rng = np.random.default_rng(0)
    now = rng.normal(size=(3, 5, 6)) * 3
    before = np.where(rng.random((1, 5, 6)) < 0.8, now, rng.normal(size=(3, 5, 6)))
    entropy, decided = doubts(now, kind)
    _, former = doubts(before, kind)
    changed = {cell for cell in decided if decided[cell] != former[cell]}
    order = sorted(decided, key=lambda cell: (
        not (with_before and cell in changed), -entropy[cell]))
    assert 0 < len(changed) < 12
    expected = sorted(i * 6 + j for i, j in order[:12])
    chosen = cells_to_refine(
        0.4, torch.from_numpy(now)[None], torch.from_numpy(before)[None]
        if with_before else None, kind(), (5, 6))
    assert chosen.tolist() == [expected]


def test_a_coarser_cell_is_as_doubtful_as_the_most_doubtful_part_of_it():
    logits = torch.full((1, 1, 4, 6), 9.)
    logits[0, 0, 3, 2] = 0.1  # in row 1, column 1 of cells of 2 x 2
    chosen = cells_to_refine(1 / 6, logits, None, Presences(), (2, 3))
    assert chosen.tolist() == [[4]]


def test_a_quantity_is_refined_where_it_changed_most():
    before = torch.zeros(2, 1, 2, 3)
    now = torch.tensor([[5., 1, 4, 0, 3, 2], [0, 1, 2, 3, 4, 9]]).view(2, 1, 2, 3) + 10
    before += 10
    chosen = cells_to_refine(0.5, now, before, Quantity(), (2, 3))
    assert chosen.tolist() == [[0, 2, 4], [3, 4, 5]]
    assert cells_to_refine(0.5, now, None, Quantity(), (2, 3)) is None


def test_a_share_is_rounded_up_and_all_of_it_is_none():
    logits = torch.randn(1, 2, 3, 3)
    assert cells_to_refine(0.01, logits, None, Classes(), (3, 3)).shape == (1, 1)
    assert cells_to_refine(0.95, logits, None, Classes(), (3, 3)) is None
    assert cells_to_refine(1., logits, None, Classes(), (3, 3)) is None


@pytest.mark.parametrize('share', [0, -0.1, 1.1, math.nan])
def test_a_share_out_of_range_is_named(share):
    with pytest.raises(ValueError, match=f'refine_share must be .*got {share}'):
        Sampler(refine_share=share)
