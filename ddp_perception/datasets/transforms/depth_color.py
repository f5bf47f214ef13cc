"""Colour augmentation of monocular depth."""
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from ddp_perception.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DepthColorAug(BaseTransform):
    """Change gamma, brightness and the colour channels of an image.

    With x in [0, 1]: x^gamma times a brightness times a factor per channel,
    clipped to [0, 1]; all factors are uniform in their ranges. Depth maps
    stay as they are.

    Args:
        prob: Probability of changing anything.
        gamma_range, brightness_range, color_range: Least and greatest factor.

    Reads and writes: img (H, W, C), values 0 to 255, uint8 (rounded) or
    floating point; keeps its type.

    Raises:
        ValueError: a range is not 0 < least <= greatest.

    Source: BTS, arXiv:1907.10326, whose recipe DDP, arXiv:2303.17559, takes
    over.
    """

    def __init__(self, prob: float = .5, gamma_range: Sequence[float] = (.9, 1.1),
                 brightness_range: Sequence[float] = (.9, 1.1),
                 color_range: Sequence[float] = (.9, 1.1)) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], got {prob}')
        self.ranges = {'gamma_range': gamma_range,
                       'brightness_range': brightness_range,
                       'color_range': color_range}
        for name, (least, greatest) in self.ranges.items():
            if not 0 < least <= greatest:
                raise ValueError(f'{name} must be 0 < least <= greatest, got '
                                 f'{(least, greatest)}')
        self.prob = prob

    @cache_randomness
    def draw(self, channels: int) -> tuple[float, np.ndarray] | None:
        """Return gamma and the factor of each channel, or None."""
        if np.random.rand() >= self.prob:
            return None
        (gamma_low, gamma_high), (low, high), (least, greatest) = (
            self.ranges[name]
            for name in ('gamma_range', 'brightness_range', 'color_range'))
        gamma = np.random.uniform(gamma_low, gamma_high)
        brightness = np.random.uniform(low, high)
        return gamma, brightness * np.random.uniform(least, greatest, size=channels)

    def transform(self, results: dict) -> dict:
        """Change the image."""
        image = results['img']
        drawn = self.draw(image.shape[2])
        if drawn is None:
            return results
        gamma, factors = drawn

        def change(values: np.ndarray) -> np.ndarray:
            return np.clip(255 * (values / 255) ** gamma * factors, 0, 255)

        if image.dtype == np.uint8:  # 256 values per channel: look them up
            table = np.rint(change(np.arange(256.)[:, None])).astype(np.uint8)
            results['img'] = cv2.LUT(np.ascontiguousarray(image), table[None])
        else:
            results['img'] = change(image).astype(image.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, {self.ranges})'
