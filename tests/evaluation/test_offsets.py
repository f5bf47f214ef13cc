"""Slope and offsets of least NLL."""
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ddp_perception.evaluation import fit_scaling


def test_a_class_that_is_there_or_not_is_fitted_as_by_logistic_regression():
    draw = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, generator=draw)
    labels = (torch.rand(4000, generator=draw) < (0.4 * logits - 1.5).sigmoid()).long()
    weights = torch.rand(4000, generator=draw)
    ours = fit_scaling(torch.stack([torch.zeros(4000), logits]), labels, weights)
    theirs = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(
        logits[:, None].double().numpy(), labels.numpy(), weights.numpy())
    assert ours.slope == pytest.approx(theirs.coef_[0, 0], rel=1e-4)
    assert ours.offsets.tolist() == pytest.approx([0., theirs.intercept_[0]], rel=1e-4)
    assert ours.slope == pytest.approx(0.4, abs=0.05)


def test_probabilities_of_several_classes_become_those_of_the_data():
    """Of an optimum: each class's mean probability, and the mean score."""
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(4, 5000, generator=draw)
    true = (2.5 * scores + torch.tensor([0., 1., -2., 0.5])[:, None]).softmax(0)
    labels = torch.multinomial(true.T, 1, generator=draw)[:, 0]
    scaling = fit_scaling(scores, labels)
    probability = scaling(scores.double()).softmax(0)
    share = torch.bincount(labels, minlength=4) / 5000
    torch.testing.assert_close(probability.mean(1).float(), share, rtol=0, atol=1e-5)
    expected = (probability * scores).sum(0).mean()
    seen = scores.gather(0, labels[None]).mean()
    assert float(expected) == pytest.approx(float(seen), abs=1e-5)
    assert scaling.slope == pytest.approx(2.5, abs=0.15)
    maps = scores.view(4, 50, 100)
    torch.testing.assert_close(scaling(maps).flatten(1), scaling(scores))


@pytest.mark.parametrize('apart', [False, True], ids=['noise', 'separable'])
def test_a_class_that_never_occurs_is_improbable_and_all_is_finite(apart):
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (500, ), generator=draw)
    scores = torch.randn(3, 500, generator=draw)
    if apart:
        scores[:2] = 3 * torch.eye(2)[labels].T
    scaling = fit_scaling(scores, labels)
    probability = scaling(scores).softmax(0)
    assert torch.isfinite(probability).all() and scaling.slope > 0
    assert probability[2].mean() < 1e-3


@pytest.mark.parametrize(('scores', 'labels', 'message'), [
    (torch.zeros(1, 3), torch.zeros(3).long(), r'\(1, 3\)'),
    (torch.zeros(2, 3), torch.zeros(2).long(), r'\(2, 3\) and \(2,\)'),
    (torch.zeros(2, 0), torch.zeros(0).long(), 'N > 0'),
    (torch.full((2, 3), torch.inf), torch.zeros(3).long(), 'finite')])
def test_what_cannot_be_fitted_is_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_scaling(scores, labels)
