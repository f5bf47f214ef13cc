"""The best label map that ignores its image: a floor for every model."""
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation.metrics import IoUMetric
from torch import Tensor


def most_frequent_class(labels: Iterable[np.ndarray], num_classes: int,
                        ignore_index: int = 255) -> Tensor:
    """Return each pixel's most frequent class.

    Ties go to the lower class. A pixel that no frame labels takes the class
    that is most frequent over all pixels.

    Args:
        labels: (H, W) whole numbers per frame, all of one size.
        num_classes: Classes are 0 to num_classes - 1.
        ignore_index: Marks pixels without a class.

    Returns:
        (H, W) int64.

    Raises:
        ValueError: there is no frame or no labelled pixel, sizes differ, or
            a label is neither a class nor `ignore_index`.
    """
    counts = None
    for label in labels:
        label = _checked(label, num_classes, ignore_index)
        if counts is None:
            counts = np.zeros((num_classes, *label.shape), np.int32)
        if label.shape != counts.shape[1:]:
            raise ValueError(f'label maps must be of one size, got '
                             f'{label.shape} after {counts.shape[1:]}')
        row, column = np.nonzero(label != ignore_index)
        counts[label[row, column], row, column] += 1
    if counts is None:
        raise ValueError('the most frequent class needs at least one frame')
    if not counts.any():
        raise ValueError('no pixel of any frame has a class')
    overall = int(counts.sum((1, 2), dtype=np.int64).argmax())
    best = np.where(counts.any(0), counts.argmax(0), overall)
    return torch.from_numpy(best.astype(np.int64))


def evaluate_constant_labels(prediction: Tensor, labels: Iterable[np.ndarray],
                             num_classes: int, ignore_index: int = 255) -> float:
    """Evaluate one label map as the prediction for every frame.

    Counts are pooled over frames; a class that is neither in a truth nor
    predicted is left out of the mean, as in mmseg's IoUMetric, whose
    counting this is.

    Args:
        prediction: (H, W) classes.
        labels: The truth, (H, W) per frame.
        num_classes: Classes are 0 to num_classes - 1.
        ignore_index: Marks pixels that do not count.

    Returns:
        mIoU, as a fraction.

    Raises:
        ValueError: there is no frame, sizes differ, or see
            `most_frequent_class`.
    """
    total = None
    for label in labels:
        truth = torch.from_numpy(_checked(label, num_classes, ignore_index))
        if truth.shape != prediction.shape:
            raise ValueError(
                'prediction and truth must be of one size, got '
                f'{tuple(prediction.shape)} and {tuple(truth.shape)}')
        intersect, union, _, _ = IoUMetric.intersect_and_union(
            prediction, truth, num_classes, ignore_index)
        areas = torch.stack((intersect, union)).double()
        total = areas if total is None else total + areas
    if total is None:
        raise ValueError('there is no frame to evaluate on')
    present = total[1] > 0
    return float((total[0][present] / total[1][present]).mean())


def iter_labels(dataset: BaseSegDataset,
                steps: Sequence[Callable]) -> Iterator[np.ndarray]:
    """Yield the label maps of a data set without loading its images.

    Args:
        dataset: The frames.
        steps: Built steps that load a label map, such as mmseg's
            LoadAnnotations.

    Yields:
        (H, W) labels.
    """
    for index in range(len(dataset)):
        results = dataset.get_data_info(index)
        for step in steps:
            results = step(results)
        yield results['gt_seg_map']


def _checked(label: np.ndarray, num_classes: int, ignore_index: int) -> np.ndarray:
    label = np.asarray(label)
    if label.ndim != 2:
        raise ValueError(f'a label map must be (H, W), got {label.shape}')
    wrong = (label != ignore_index) & ((label < 0) | (label >= num_classes))
    if wrong.any():
        raise ValueError(
            f'labels must be 0 to {num_classes - 1} or {ignore_index}, got '
            f'{np.unique(label[wrong])[:5].tolist()}')
    return label.astype(np.int64)
