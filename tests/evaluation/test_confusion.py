import json

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from ddp_perception.evaluation import ConfusionMetric, confuse_labels, confuse_maps


def test_labels_are_counted_as_by_scikit_learn():
    draw = np.random.default_rng(0)
    prediction, truth = draw.integers(0, 5, (7, 9)), draw.integers(0, 5, (7, 9))
    truth[0], truth[1, 0] = 255, -1  # ignored
    counted = (truth >= 0) & (truth < 5)
    counts, cells = confuse_labels(torch.from_numpy(prediction),
                                   torch.from_numpy(truth), 6)
    np.testing.assert_array_equal(counts, confusion_matrix(
        truth[counted], prediction[counted], labels=range(6)))
    np.testing.assert_array_equal(cells, np.bincount(truth[counted], minlength=6))


def test_pair_of_every_true_and_predicted_class_of_a_cell_counts():
    # Cells: road and line predicted as road; road as line; nothing as line; nothing.
    truth = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).reshape(2, 1, 4)
    prediction = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0]]).reshape(2, 1, 4).bool()
    counts, cells = confuse_maps(prediction, truth)
    assert counts.tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 1]]
    assert cells.tolist() == [2, 1, 2]


def test_counts_of_large_maps_are_exact():
    everywhere = torch.ones(1, 5000, 5000, dtype=torch.bool)
    counts, _ = confuse_maps(everywhere, everywhere)
    assert counts[0, 0] == 25_000_000


def test_shapes_and_labels_that_do_not_fit_are_named():
    labels = torch.zeros(3, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r'\(3, 4\) and \(4, 3\)'):
        confuse_labels(labels, labels.T, 2)
    with pytest.raises(ValueError, match='from 0 to 1, got 7'):
        confuse_labels(labels + 7, labels, 2)
    with pytest.raises(ValueError, match=r'\(1, 3, 4\) and \(2, 3, 4\)'):
        confuse_maps(labels[None].bool(), labels.repeat(2, 1, 1))


def _evaluate(metric, batches, **meta):
    metric.dataset_meta = meta
    for batch in batches:
        metric.process(None, batch)
    figures = metric.evaluate(sum(map(len, batches)))
    assert figures == {}
    with open(metric.counts_file) as file:
        return json.load(file)


def test_metric_pools_samples_of_any_batches(tmp_path):
    draw = torch.Generator().manual_seed(0)
    samples = [dict(
        pred_sem_seg=dict(data=torch.randint(3, (1, 4, 5), generator=draw)),
        gt_sem_seg=dict(data=torch.randint(3, (1, 4, 5), generator=draw)))
        for _ in range(3)]
    names = dict(classes=('a', 'b', 'c'))
    together = _evaluate(ConfusionMetric(str(tmp_path / 'x.json')), [samples], **names)
    apart = _evaluate(ConfusionMetric(str(tmp_path / 'y.json')),
                      [samples[:1], samples[1:]], **names)
    assert together == apart and together['classes'] == ['a', 'b', 'c']
    assert together['samples'] == 3 and np.sum(together['counts']) == 60
    assert together['threshold'] is None and not together['overlapping']


def test_metric_of_maps_takes_the_threshold(tmp_path):
    sample = dict(pred_map_seg=dict(data=torch.tensor([.3, .7]).reshape(1, 1, 2)),
                  gt_map_seg=dict(data=torch.tensor([1, 0]).reshape(1, 1, 2)))
    for threshold, counts in ((.5, [[0, 1], [1, 0]]), (.2, [[1, 0], [1, 0]])):
        content = _evaluate(ConfusionMetric(
            str(tmp_path / 'x.json'), threshold, classes=['road']), [[sample]])
        assert content['counts'] == counts and content['cells'] == [1, 1]
        assert content['classes'] == ['road', 'no class'] and content['overlapping']
        assert content['threshold'] == threshold


def test_metric_refuses_what_has_no_classes(tmp_path):
    metric = ConfusionMetric(str(tmp_path / 'x.json'))
    metric.dataset_meta = dict(classes=('a', ))
    with pytest.raises(ValueError, match='needs classes'):
        metric.process(None, [dict(pred_depth_map=dict(data=torch.zeros(1, 2, 2)))])
    with pytest.raises(ValueError, match='between 0 and 1, got 0'):
        ConfusionMetric('x.json', threshold=0)
    with pytest.raises(ValueError, match='2 classes are predicted, but 6'):
        metric.process(None, [dict(pred_map_seg=dict(data=torch.zeros(2, 2, 2)))])
