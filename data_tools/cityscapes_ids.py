"""The label ids of Cityscapes and the 19 classes that are evaluated."""
from collections.abc import Iterable

import numpy as np

LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
             31, 32, 33)
"""Label id of each training class, in order: road, sidewalk, ..., bicycle."""

LAST_LABEL_ID = 33
IGNORED = 255


def to_train_ids(label_ids: np.ndarray) -> np.ndarray:
    """Return the training class of each label id.

    Args:
        label_ids: uint8, any shape.

    Returns:
        uint8, 0 to 18, and 255 for every id that is not evaluated or not of
        Cityscapes. A new array.

    Raises:
        ValueError: not uint8.

    Source: the Cityscapes label definition, arXiv:1604.01685.
    """
    return _look_up(label_ids, LABEL_IDS, range(len(LABEL_IDS)), IGNORED)


def to_label_ids(train_ids: np.ndarray) -> np.ndarray:
    """Return the label id of each training class; 0 (unlabelled) for 255.

    Args:
        train_ids: uint8, any shape.

    Returns:
        uint8. A new array.

    Raises:
        ValueError: not uint8.
    """
    return _look_up(train_ids, range(len(LABEL_IDS)), LABEL_IDS, 0)


def _look_up(values: np.ndarray, keys: Iterable[int], results: Iterable[int],
             otherwise: int) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype != np.uint8:
        raise ValueError(f'label maps must be uint8, got {values.dtype}')
    # A table: replacing values one after another would replace some twice.
    table = np.full(256, otherwise, np.uint8)
    table[list(keys)] = list(results)
    return table[values]
