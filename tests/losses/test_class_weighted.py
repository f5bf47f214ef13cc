import pytest
import torch
import torch.nn.functional as F

from ddp_perception.losses import ClassWeightedCrossEntropy

WEIGHTS = [0.5, 1., 4.]


@pytest.fixture
def batch():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=draw, requires_grad=True)
    labels = torch.randint(3, (2, 4, 5), generator=draw)
    labels[:, 0] = 255
    return logits, labels


def test_is_torchs_weighted_mean_over_the_pixels_that_count(batch):
    logits, labels = batch
    loss = ClassWeightedCrossEntropy(WEIGHTS, loss_weight=0.4)(logits, labels)
    expected = 0.4 * F.cross_entropy(logits, labels, torch.tensor(WEIGHTS),
                                     ignore_index=255)
    torch.testing.assert_close(loss, expected)
    scaled = ClassWeightedCrossEntropy([3 * w for w in WEIGHTS], loss_weight=0.4)
    torch.testing.assert_close(scaled(logits, labels), expected)


def test_pixels_of_weight_zero_count_no_more_than_ignored_ones(batch):
    logits, labels = batch
    weight = torch.ones(labels.shape)
    weight[:, :, 3:] = 0
    loss = ClassWeightedCrossEntropy(WEIGHTS)
    left_out = labels.clone()
    left_out[:, :, 3:] = 255
    torch.testing.assert_close(loss(logits, labels, weight), loss(logits, left_out))


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient(batch):
    logits, labels = batch
    loss = ClassWeightedCrossEntropy(WEIGHTS)(logits, torch.full_like(labels, 255))
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_wrong_weights_are_named(batch):
    with pytest.raises(ValueError, match='must be positive'):
        ClassWeightedCrossEntropy([1., 0.])
    with pytest.raises(ValueError, match='2 values for 3 classes'):
        ClassWeightedCrossEntropy([1., 2.])(*batch)
