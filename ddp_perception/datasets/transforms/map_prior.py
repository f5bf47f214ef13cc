"""Augment and pack a prior map and the true map beside it.

Both are (C, X, Y) and the vehicle stands in the middle: ``map_prior``, the
sketch that a model reads, and ``gt_masks_bev``, where a sample has it.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from ddp_perception.registry import TRANSFORMS

from .packing import PackDenseInputs

PRIOR_META_KEYS = ('token', 'scene_name', 'map_location', 'map_flip', 'map_rotation')


@TRANSFORMS.register_module()
class FlipMapPrior(BaseTransform):
    """Mirror prior and truth: x becomes -x, left becomes right.

    Args:
        prob: Probability.

    Writes: map_flip (bool).

    Raises:
        ValueError: the probability is outside [0, 1].
    """

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = _probability('prob', prob)

    def transform(self, results: dict) -> dict:
        """Draw once and apply to both."""
        results['map_flip'] = bool(np.random.rand() < self.prob)
        if results['map_flip']:
            _change(results, lambda maps: maps[:, ::-1])
        return results

    def __repr__(self) -> str:
        """Name the probability."""
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class RotateMapPrior(BaseTransform):
    """Rotate prior and truth about the vehicle, counter-clockwise from above.

    Each cell takes the value of the cell that its centre comes from; what comes
    from outside the map is empty in both. Multiples of 90 degrees lose nothing
    of a square map.

    Args:
        angles: Degrees; one of them is drawn.
        angle_range: (low, high) in degrees instead; any angle between them.

    Writes: map_rotation, degrees.

    Raises:
        ValueError: both or neither are given, there is no angle, one is not
            finite, or the range is reversed.
    """

    def __init__(self, angles: Sequence[float] | None = None,
                 angle_range: Sequence[float] | None = None) -> None:
        if (angles is None) == (angle_range is None):
            raise ValueError('give either angles or angle_range, got '
                             f'{angles} and {angle_range}')
        self.ranges = angle_range is not None
        self.angles = [float(angle) for angle in angles or angle_range or ()]
        if not self.angles or not np.isfinite(self.angles).all():
            raise ValueError('angles must be finite degrees, at least one, got '
                             f'{self.angles}')
        if self.ranges and (len(self.angles) != 2 or self.angles[0] > self.angles[1]):
            raise ValueError(f'angle_range must be (low, high), got {self.angles}')

    def transform(self, results: dict) -> dict:
        """Draw an angle and apply it to both."""
        if self.ranges:
            low, high = self.angles
            angle = np.random.uniform(low, high)
        else:
            angle = float(np.random.choice(self.angles))
        results['map_rotation'] = angle
        _change(results, lambda maps: rotate_map(maps, angle))
        return results

    def __repr__(self) -> str:
        """Name the angles."""
        name = 'angle_range' if self.ranges else 'angles'
        return f'{type(self).__name__}({name}={self.angles})'


@TRANSFORMS.register_module()
class DropPriorChannels(BaseTransform):
    """Empty channels of the prior, as in places that a map lacks.

    The truth stays. Channels are drawn independently, so now and then a sample
    has no prior at all.

    Args:
        prob: Probability for each channel.

    Raises:
        ValueError: the probability is outside [0, 1].
    """

    def __init__(self, prob: float = 0.1) -> None:
        self.prob = _probability('prob', prob)

    def transform(self, results: dict) -> dict:
        """Draw the channels and empty them."""
        prior = results['map_prior']
        kept = np.random.rand(len(prior)) >= self.prob
        results['map_prior'] = prior * kept[:, None, None].astype(prior.dtype)
        return results

    def __repr__(self) -> str:
        """Name the probability."""
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class PackMapPrior(PackDenseInputs):
    """Pack a prior map as the input, and the truth of every field.

    Args:
        meta_keys: What becomes metainfo.

    Returns a dict with
        inputs: map_prior (C, X, Y), uint8.
        data_samples: SegDataSample; gt_masks_bev becomes `gt_map_seg`,
            (classes, X, Y) uint8.
    """

    def __init__(self, meta_keys: Sequence[str] = PRIOR_META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        # An image has its channels last.
        return super().transform({**results,
                                  'img': results['map_prior'].transpose(1, 2, 0)})


def rotate_map(maps: np.ndarray, angle: float) -> np.ndarray:
    """Rotate maps about their middle, from axis 1 (x) towards axis 2 (y).

    Args:
        maps: (C, X, Y), any dtype.
        angle: degrees.

    Returns:
        (C, X, Y), the nearest cell of `maps` for each, 0 outside.
    """
    size = np.array(maps.shape[1:])
    middle = (size - 1) / 2
    cells = np.stack(np.meshgrid(*map(np.arange, size), indexing='ij')) \
        - middle[:, None, None]
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    # Where a cell comes from: rotated back. Rounded, lest 90 degrees miss a cell.
    source = np.rint(np.round(
        np.einsum('ij,jxy->ixy', [[cos, sin], [-sin, cos]], cells), 6)
        + middle[:, None, None]).astype(int)
    inside = ((source >= 0) & (source < size[:, None, None])).all(0)
    rows, columns = np.where(inside, source, 0)
    return maps[:, rows, columns] * inside.astype(maps.dtype)


def _change(results: dict, how: Callable[[np.ndarray], np.ndarray]) -> None:
    """Apply one change to the prior and, where there is one, to the truth."""
    for key in ('map_prior', 'gt_masks_bev'):
        if key in results:
            results[key] = np.ascontiguousarray(how(results[key]))


def _probability(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be in [0, 1], got {value}')
    return value
