"""The best map that ignores its input: a floor for every model.

Each cell is predicted with the share of training frames in which it holds
the class. The figures follow the protocol of `map_iou`, best threshold per
class included.
"""
import numpy as np
import torch

from .map_iou import THRESHOLDS, count_map, map_iou


def training_frequency(masks):
    """Return how often each cell holds each class.

    Args:
        masks (Iterable[ndarray]): One (C, X, Y) mask of 0 and 1 per frame.

    Returns:
        Tensor: (C, X, Y) float32, in [0, 1].

    Raises:
        ValueError: there is no mask.
    """
    total, frames = 0, 0
    for mask in masks:
        total = total + np.asarray(mask, dtype=np.int64)
        frames += 1
    if not frames:
        raise ValueError('the best constant map needs at least one mask')
    return torch.from_numpy((total / frames).astype(np.float32))


def evaluate_constant_map(frequency, masks, classes=None,
                          thresholds=THRESHOLDS):
    """Evaluate one map as the prediction for every frame.

    Args:
        frequency (Tensor): (C, X, Y) probabilities.
        masks (Iterable[ndarray]): The truth, (C, X, Y) per frame.
        classes (Sequence[str], optional): C names.
        thresholds (Sequence[float]): As in `map_iou`.

    Returns:
        dict[str, float]: see `map_iou`.

    Raises:
        ValueError: there is no mask, or see `count_map`.
    """
    counts = [count_map(frequency, torch.as_tensor(mask), thresholds)
              for mask in masks]
    if not counts:
        raise ValueError('there is no frame to evaluate on')
    names = {} if classes is None else {'classes': classes}
    return map_iou(torch.stack(counts).sum(0), thresholds=thresholds, **names)


def iter_masks(dataset, load_masks):
    """Yield the masks of a data set without loading images or points.

    Args:
        dataset (NuScenesMapDataset): The frames.
        load_masks (Callable): A `LoadMapMasks` step.

    Yields:
        ndarray: (C, X, Y) uint8, not augmented.
    """
    for index in range(len(dataset)):
        yield load_masks(dataset.get_data_info(index))['gt_masks_bev']
