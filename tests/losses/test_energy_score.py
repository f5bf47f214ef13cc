"""The energy score against a naive loop, and what makes it proper."""
import itertools

import pytest
import torch

from ddp_perception.losses import EnergyScore


def _naive(first, second, truth, counts, patches):
    """One image, cell by cell: (C, H, W) and (H, W)."""
    def distance(a, b, rows, columns):
        cells = [(r, c) for r in rows for c in columns if counts[r, c]]
        if not cells:
            return None
        squares = [float(((a[:, r, c] - b[:, r, c]) ** 2).sum()) for r, c in cells]
        return (sum(squares) / len(squares) + 1e-6) ** 0.5
    height, width = counts.shape
    sizes = []
    for side in patches:
        scores = []
        for top, left in itertools.product(range(0, height, min(side, height)),
                                           range(0, width, min(side, width))):
            place = (range(top, min(top + side, height)),
                     range(left, min(left + side, width)))
            if distance(first, truth, *place) is not None:
                scores.append((distance(first, truth, *place)
                               + distance(second, truth, *place)
                               - distance(first, second, *place)) / 2)
        sizes.append(sum(scores) / len(scores))
    return sum(sizes) / len(sizes)


def _twice(truth):
    return truth.repeat_interleave(2, 0)


def test_presences_are_compared_patch_by_patch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 7, 10, generator=generator)
    masks = (torch.rand(1, 3, 7, 10, generator=generator) < 0.4).float()
    found = EnergyScore(patches=(3, 4, 50), loss_weight=2.)(logits, _twice(masks))
    expected = _naive(*logits.sigmoid(), masks[0], torch.ones(7, 10), (3, 4, 50))
    assert found.shape == (3,)
    torch.testing.assert_close(found.sum().item(), 2 * expected, rtol=1e-5, atol=1e-6)


def test_ignored_pixels_of_classes_do_not_count():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 4, 6, 9, generator=generator)
    labels = torch.randint(0, 4, (1, 6, 9), generator=generator)
    labels[:, :3, :4] = 255
    loss = EnergyScore('classes', patches=(3, 5))
    found = loss(logits, _twice(labels), ignore_index=255)
    one_hot = torch.stack([labels[0] == name for name in range(4)]).float()
    torch.testing.assert_close(found.item(), _naive(
        *logits.softmax(1), one_hot, labels[0] != 255, (3, 5)), rtol=1e-5, atol=1e-6)
    changed = logits.clone()
    changed[:, :, :3, :4] += torch.randn(4, 3, 4, generator=generator)
    torch.testing.assert_close(loss(changed, _twice(labels)), found)
    nothing = loss(logits.requires_grad_(), torch.full_like(_twice(labels), 255))
    nothing.backward()
    assert nothing.item() == 0 and logits.grad.abs().max() == 0


def test_depth_is_compared_by_its_logarithm_where_it_was_measured():
    generator = torch.Generator().manual_seed(2)
    metres = 80 * torch.rand(2, 1, 5, 5, generator=generator)
    truth = 80 * torch.rand(1, 1, 5, 5, generator=generator)
    truth[..., :2] = 0
    found = EnergyScore('depth', patches=(5, ))(metres, _twice(truth))
    logs = [(value + 1e-3).log() for value in (*metres, truth[0])]
    torch.testing.assert_close(found.item(), _naive(*logs, truth[0, 0] > 0, (5, )),
                               rtol=1e-5, atol=1e-6)


def _expected_score(truths, chances, answers, answer_chances):
    """Mean score, over truths and over two independent answers (logits)."""
    loss = EnergyScore(patches=(2, 8))
    total = 0.
    for (truth, p), (a, q), (b, r) in itertools.product(
            zip(truths, chances, strict=True),
            *[list(zip(answers, answer_chances, strict=True))] * 2):
        total += p * q * r * loss(torch.stack([a, b]), _twice(truth[None])).sum().item()
    return total


def test_the_best_sampler_is_the_distribution_of_the_truth():
    """Better than the mean map, which any loss of cells alone prefers."""
    left, right = torch.zeros(2, 1, 8, 8)
    left[..., :4, :], right[..., 4:, :] = 1, 1
    truths, chances = (left, right), (0.3, 0.7)
    sure = [40 * truth - 20 for truth in truths]
    calibrated = _expected_score(truths, chances, sure, chances)
    marginal = (0.3 * left + 0.7 * right).logit(1e-6)
    for answers, answer_chances in (([marginal], [1.]), (sure, (0., 1.)),
                                    (sure, (0.5, 0.5)), (sure, (0.1, 0.9))):
        assert calibrated < _expected_score(truths, chances, answers, answer_chances)


def test_predictions_that_are_no_pairs_are_refused():
    masks = torch.zeros(2, 1, 4, 4)
    masks[1] = 1
    with pytest.raises(ValueError, match=r"two predictions .* got 2 .*'samples'"):
        EnergyScore()(torch.zeros(2, 1, 4, 4), masks)
    with pytest.raises(ValueError, match='got 3'):
        EnergyScore()(torch.zeros(3, 1, 4, 4), torch.zeros(3, 1, 4, 4))
    with pytest.raises(ValueError, match="outcome must be one of .* got 'maps'"):
        EnergyScore('maps')
    with pytest.raises(ValueError, match=r'at least one cell, got \[0, 8\]'):
        EnergyScore(patches=(0, 8))
