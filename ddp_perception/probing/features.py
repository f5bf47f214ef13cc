"""Features that are computed once per batch, and the truth that goes with them."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor

from ddp_perception.diffusion.codecs import nearest_shrink

_ROUNDING = 0.05
"""How far height and width may be resized apart, from whole numbers of pixels."""


class UnknownTruth(ValueError):
    """The truth of a sample cannot be given to the head."""


class FeatureMemory:
    """Stands in for a model's ``extract_feat`` while one batch is predicted often.

    A model calls it once, or once per window and mirrored window, and in the
    same order each time: the first time round features are computed, then
    they are handed out again.

    Args:
        extract: the model's own method. The first argument is what it reads.
        planes: how many of the last channels of the images are truth; see
            `truth_planes`. They go where the images go, into the same windows.

    Attributes:
        calls: how often it was called since `rewind`.
    """

    def __init__(self, extract: Callable[..., Any], planes: int = 0) -> None:
        self._extract, self._planes = extract, planes
        self._features: list[Any] = []
        self._truth: list[Tensor | None] = []
        self.calls = 0

    def rewind(self) -> None:
        """Start over with the same batch."""
        self.calls = 0

    def __call__(self, inputs: Any, *more: Any) -> Any:
        """Return the features of the next call."""
        if self.calls == len(self._features):
            truth = None
            if self._planes:
                inputs, truth = inputs[:, :-self._planes], inputs[:, -self._planes:]
            self._truth.append(truth)
            self._features.append(self._extract(inputs, *more))
        self.calls += 1
        return self._features[self.calls - 1]

    @property
    def truth(self) -> Tensor | None:
        """(B, planes, h, w) truth of the area that was asked for last."""
        return self._truth[self.calls - 1]


def truth_of(samples: Sequence[BaseDataElement], field: str) -> list[Tensor]:
    """Return the truth of each sample.

    Raises:
        UnknownTruth: a sample has none; names it.
    """
    for sample in samples:
        if field not in sample:
            raise UnknownTruth(f'the sample {_name(sample)} has no truth {field}')
    return [sample.get(field).data for sample in samples]


def truth_planes(samples: Sequence[BaseDataElement], field: str,
                 images: Tensor) -> Tensor:
    """Bring the truth of images into their own pixels.

    Truth of another size, as a pipeline gives it that resizes the image
    alone, is resized to the nearest pixel, and continued into padding by its
    outermost pixels.

    Args:
        samples: one per image, after the data preprocessor.
        field: name of the truth, (k, H, W) or (H, W).
        images: (B, C, H, W) input of the network.

    Returns:
        (B, k, H, W) float, so that images and truth can be cut alike.

    Raises:
        UnknownTruth: no truth, a mirrored image, or truth of another shape.
    """
    planes = []
    height, width = images.shape[-2:]
    for sample, truth in zip(samples, truth_of(samples, field), strict=True):
        meta = sample.metainfo
        if meta.get('flip'):
            raise UnknownTruth(f'the image {_name(sample)} is mirrored, its truth '
                               f'{field} may not be')
        truth = truth.to(images).reshape(1, -1, *truth.shape[-2:])
        if tuple(truth.shape[-2:]) != (height, width):
            left, right, top, bottom = meta.get(
                'img_padding_size', meta.get('padding_size', (0, ) * 4))
            size = height - top - bottom, width - left - right
            ratios = [was / now for was, now in
                      zip(truth.shape[-2:], size, strict=True)]
            if max(ratios) > (1 + _ROUNDING) * min(ratios):
                raise UnknownTruth(
                    f'the truth {field} of {_name(sample)} is '
                    f'{tuple(truth.shape[-2:])}, the image that the network gets '
                    f'{size}: they do not show the same area')
            truth = F.pad(nearest_shrink(truth, size), (left, right, top, bottom),
                          mode='replicate')
        planes.append(truth)
    return torch.cat(planes)


def _name(sample: BaseDataElement) -> Any:
    return sample.metainfo.get('token') or sample.metainfo.get('img_path') or '?'
