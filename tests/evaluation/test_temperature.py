import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from ddp_perception.evaluation import temperature as module
from ddp_perception.evaluation.temperature import (
    RANGE,
    CellSubsample,
    fit_temperature,
)


def drawn(classes, cells, true, seed=0):
    """Logits, and labels as often as the logits say at a temperature."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(classes, cells, generator=generator)
    probability = (logits.double() / true).softmax(0)
    return logits, torch.multinomial(probability.T, 1, generator=generator)[:, 0]


@pytest.mark.parametrize('true', [0.3, 1., 4.])
def test_known_temperature_is_found_where_scipy_finds_it(true):
    logits, labels = drawn(5, 40_000, true)
    weights = torch.rand(40_000, generator=torch.Generator().manual_seed(1))
    fit = fit_temperature(logits, labels, weights)

    def nll(log_inverse):
        scaled = torch.log_softmax(logits.double() * math.exp(log_inverse), 0)
        own = -scaled.gather(0, labels[None])[0] * weights.double()
        return float(own.sum() / weights.double().sum())

    best = minimize_scalar(nll, bounds=(-5, 5), method='bounded',
                           options=dict(xatol=1e-10))
    assert fit.temperature == pytest.approx(math.exp(-best.x), rel=1e-6)
    assert fit.temperature == pytest.approx(true, rel=0.05)
    assert fit.before == pytest.approx(nll(0.), rel=1e-12)
    assert fit.after == pytest.approx(best.fun, rel=1e-12)


@pytest.mark.parametrize('margin, right, cells', [(2., 3, 4), (5., 9, 10), (.2, 6, 10)])
def test_two_classes_of_one_margin_have_a_closed_form(margin, right, cells):
    """sigmoid(margin / T) is the share of right ones."""
    scores = torch.tensor([[0.], [margin]], dtype=torch.double).expand(2, cells)
    labels = (torch.arange(cells) < right).long()
    share = right / cells
    assert fit_temperature(scores, labels).temperature == pytest.approx(
        margin / math.log(share / (1 - share)), rel=1e-12)


def test_shift_of_the_logits_and_chunks_change_nothing(monkeypatch):
    logits, labels = drawn(3, 5000, 2.)
    fit = fit_temperature(logits, labels)
    moved = logits.double() + 100 * torch.rand(5000, dtype=torch.double)
    assert fit_temperature(moved, labels).temperature == pytest.approx(
        fit.temperature, rel=1e-9)
    monkeypatch.setattr(module, '_AT_ONCE', 333)
    assert fit_temperature(logits, labels).temperature == pytest.approx(
        fit.temperature, rel=1e-12)


def test_least_nll_beyond_the_range_is_told():
    scores = torch.tensor([[0., 0.], [2., -2.]])
    for labels, end in ((torch.tensor([1, 0]), 0), (torch.tensor([0, 1]), 1)):
        fit = fit_temperature(scores, labels)
        assert fit.temperature == RANGE[end] and fit.at_bound
        assert fit.after < fit.before
    flat = fit_temperature(torch.zeros(2, 2), torch.tensor([0, 1]))
    assert flat.temperature == 1 and not flat.at_bound


@pytest.mark.parametrize('scores, labels, message', [
    (torch.zeros(2, 3), torch.zeros(2).long(), r'\(2, 3\) and \(2,\)'),
    (torch.zeros(2, 0), torch.zeros(0).long(), 'N > 0'),
    (torch.tensor([[0., math.inf], [0., 0.]]), torch.zeros(2).long(), 'finite')])
def test_fit_refuses_what_has_no_answer(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(scores, labels)


def test_subsample_keeps_its_bound_and_stands_for_all_cells():
    logits, labels = drawn(4, 60_000, 3.)
    parts = [slice(0, 50_000), slice(50_000, 50_010), slice(50_010, 60_000)]
    subsamples = [CellSubsample(4000) for _ in range(2)]
    for subsample in subsamples:
        for part in parts:
            subsample.add(logits[:, part], labels[part])
    kept = [len(own) for own in subsamples[0].labels]
    assert kept == [4000, 10, 4000]
    assert [float(own.double().sum()) for own in subsamples[0].weights] == (
        pytest.approx([50_000, 10, 9990]))
    assert all(map(torch.equal, subsamples[0].scores, subsamples[1].scores))
    assert subsamples[0].fits()[0].temperature == pytest.approx(
        fit_temperature(logits, labels).temperature, rel=0.05)


def test_overlapping_classes_are_fitted_each_for_itself_or_together():
    subsample = CellSubsample(10**6)
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 30_000, generator=generator)
    masks = torch.rand(2, 30_000, generator=generator) < (
        logits / torch.tensor([[.5], [3.]])).sigmoid()
    subsample.add(logits, masks)
    own = [fit.temperature for fit in subsample.fits()]
    assert own == pytest.approx([.5, 3.], rel=0.1)
    shared = subsample.fits(shared=True)
    assert len(shared) == 2 and shared[0] == shared[1]
    assert own[0] < shared[0].temperature < own[1]
