"""The best constant map."""
import numpy as np
import pytest
import torch

from ddp_perception.evaluation import (
    evaluate_constant_map,
    iter_masks,
    training_frequency,
)


def test_frequency_is_the_share_of_frames():
    masks = [np.zeros((2, 3, 4), np.uint8) for _ in range(4)]
    for mask in masks[:3]:
        mask[1, 2, 3] = 1
    masks[0][0, 0, 0] = 1
    frequency = training_frequency(iter(masks))
    assert frequency.dtype == torch.float32
    assert frequency[1, 2, 3] == .75 and frequency[0, 0, 0] == .25
    assert frequency.sum() == 1


def test_constant_map_is_scored_at_each_classes_best_threshold():
    frequency = torch.tensor([[[.9, .5, .2]], [[.1, .4, .4]]])
    truth = [torch.tensor([[[1, 1, 0]], [[0, 1, 0]]]),
             torch.tensor([[[1, 0, 0]], [[0, 1, 1]]])]
    figures = evaluate_constant_map(frequency, truth, ('a', 'b'))
    # a: at 0.35 to 0.50 two cells are predicted, TP 3 of 4; at 0.55 and above
    # one cell, TP 2, FN 1. b: at 0.35 and 0.40 TP 3 of 4; above, nothing.
    assert figures['map/a/iou@0.50'] == pytest.approx(3 / 4)
    assert figures['map/a/iou@0.55'] == pytest.approx(2 / 3)
    assert figures['map/b/iou@0.40'] == pytest.approx(3 / 4)
    assert figures['map/b/iou@0.45'] == 0
    assert figures['map/mean/iou@max'] == pytest.approx(3 / 4)


def test_masks_are_read_without_images():
    class Frames:
        def __len__(self):
            return 3

        def get_data_info(self, index):
            return {'number': index}

    masks = list(iter_masks(Frames(), lambda info: {
        'gt_masks_bev': np.full((1, 2, 2), info['number'])}))
    assert [int(mask[0, 0, 0]) for mask in masks] == [0, 1, 2]


def test_no_frames_is_an_error():
    with pytest.raises(ValueError, match='at least one mask'):
        training_frequency([])
    with pytest.raises(ValueError, match='no frame'):
        evaluate_constant_map(torch.zeros(1, 2, 2), [], ('a', ))
