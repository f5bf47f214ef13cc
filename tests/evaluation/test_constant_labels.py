"""The best constant label map."""
import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric

from ddp_perception.evaluation import (
    evaluate_constant_labels,
    iter_labels,
    most_frequent_class,
)


def test_most_frequent_class_by_hand():
    labels = np.array([[[0, 1, 255], [2, 2, 0]],
                       [[0, 2, 255], [1, 2, 255]],
                       [[1, 2, 255], [255, 0, 0]]], np.uint8)
    best = most_frequent_class(iter(labels), 3)
    assert best.dtype == torch.int64
    # (1, 0) is a tie of 1 and 2. (0, 2) is never labelled: 0 and 2 lead with
    # 5 each overall, and the lower one wins.
    assert best.tolist() == [[0, 2, 0], [1, 2, 0]]


def test_miou_is_that_of_mmseg():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, (6, 7, 9)).astype(np.uint8)
    labels[labels == 3] = 2  # class 3 is absent
    labels[rng.random(labels.shape) < .1] = 255
    best = most_frequent_class(labels, 5)
    ours = evaluate_constant_labels(best, labels, 5)
    metric = IoUMetric()
    metric.dataset_meta = {'classes': tuple('abcde')}
    metric.process(None, [
        {'pred_sem_seg': {'data': best[None]},
         'gt_sem_seg': {'data': torch.from_numpy(label)[None]}}
        for label in labels])
    theirs = metric.evaluate(6)['mIoU']  # in percent, two digits
    assert 100 * ours == pytest.approx(theirs, abs=.0051)


def test_miou_by_hand():
    prediction = torch.tensor([[0, 0, 1]])
    labels = [np.array([[0, 1, 1]]), np.array([[0, 255, 2]])]
    # 0: 2 of 3; 1: 1 of 3; 2: 0 of 1; the class 3 counts nowhere.
    assert evaluate_constant_labels(prediction, labels, 4) == pytest.approx(
        (2 / 3 + 1 / 3 + 0) / 3)


def test_labels_are_read_without_images():
    class Frames:
        def __len__(self):
            return 3

        def get_data_info(self, index):
            return {'number': index}

    steps = [lambda info: info | {'gt_seg_map': np.full((1, 2),
                                                        info['number'])}]
    assert [int(label[0, 0]) for label in iter_labels(Frames(), steps)] == [
        0, 1, 2]


def test_bad_labels_are_named():
    good = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r'0 to 2 or 255, got \[3, 7\]'):
        most_frequent_class([np.array([[0, 3, 7]])], 3)
    with pytest.raises(ValueError, match=r'got \[-1\]'):
        most_frequent_class([np.array([[0, -1]])], 3)
    with pytest.raises(ValueError, match='one size'):
        most_frequent_class([good, good.T], 3)
    with pytest.raises(ValueError, match='no pixel'):
        most_frequent_class([good + 255], 3)
    with pytest.raises(ValueError, match='at least one frame'):
        most_frequent_class([], 3)
    with pytest.raises(ValueError, match='no frame'):
        evaluate_constant_labels(torch.zeros(2, 3), [], 3)
    with pytest.raises(ValueError, match=r'\(3, 2\) and \(2, 3\)'):
        evaluate_constant_labels(torch.zeros(3, 2).long(), [good], 3)
