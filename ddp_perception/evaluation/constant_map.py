"""The best map that ignores its input: a floor for every model.

Each cell is predicted with the share of training frames in which it holds
the class. The metrics follow the protocol of `map_iou`, best threshold per
class included.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .map_iou import THRESHOLDS, count_map, map_iou

if TYPE_CHECKING:
    from ddp_perception.datasets.nuscenes_map import NuScenesMapDataset


def training_frequency(masks: Iterable[np.ndarray]) -> Tensor:
    """Return how often each cell holds each class.

    Args:
        masks: One (C, X, Y) mask of 0 and 1 per frame.

    Returns:
        (C, X, Y) float32, in [0, 1].

    Raises:
        ValueError: there is no mask.
    """
    total: np.ndarray | int = 0
    frames = 0
    for mask in masks:
        total = total + np.asarray(mask, dtype=np.int64)
        frames += 1
    if not frames:
        raise ValueError('the best constant map needs at least one mask')
    return torch.from_numpy(np.asarray(total / frames, np.float32))


def evaluate_constant_map(frequency: Tensor, masks: Iterable[np.ndarray],
                          classes: Sequence[str] | None = None,
                          thresholds: Sequence[float] = THRESHOLDS) -> dict[str, float]:
    """Evaluate one map as the prediction for every frame.

    Args:
        frequency: (C, X, Y) probabilities.
        masks: The truth, (C, X, Y) per frame.
        classes: C names.
        thresholds: As in `map_iou`.

    Returns:
        see `map_iou`.

    Raises:
        ValueError: there is no mask, or see `count_map`.
    """
    counts = [count_map(frequency, torch.as_tensor(mask), thresholds)
              for mask in masks]
    if not counts:
        raise ValueError('there is no frame to evaluate on')
    names = {} if classes is None else {'classes': classes}
    return map_iou(torch.stack(counts).sum(0), thresholds=thresholds, **names)


def iter_masks(dataset: NuScenesMapDataset,
               load_masks: Callable) -> Iterator[np.ndarray]:
    """Yield the masks of a data set without loading images or points.

    Args:
        dataset: The frames.
        load_masks: A `LoadMapMasks` step.

    Yields:
        (C, X, Y) uint8, not augmented.
    """
    for index in range(len(dataset)):
        yield load_masks(dataset.get_data_info(index))['gt_masks_bev']
