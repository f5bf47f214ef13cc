"""Codecs: from label maps to continuous maps, and from predictions as well.

A task differs from another in its codec, its last layer and its loss. A codec
has ``channels``, the width of its continuous map; ``encode(labels, size)``
for the truth and, for the feedback of the sampler, ``encode_prediction(prediction,
size)`` and ``encode_expected``: what the prediction decides, and its mean. ``size`` is
the height and width of the continuous map.

Here are the base and the codec of overlapping classes; ``class_codecs`` has
those of one class per pixel, ``depth_codec`` that of metres.

Source: DDP, arXiv:2303.17559, section 3 (encodings of the label map).
"""
import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.ops import is_exporting

Shrink = Callable[[Tensor, tuple[int, int]], Tensor]
_COMBINED = 8
"""Overlapping classes, at most, whose sets are looked up in one table."""


def nearest_shrink(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (..., H, W) maps: cell i takes source cell floor(i n_in / n_out)."""
    for dim, length in zip((-2, -1), size, strict=True):
        source = maps.shape[dim]
        if source != length:
            cells = torch.arange(length, device=maps.device) * source // length
            maps = maps.index_select(dim, cells)
    return maps


class LabelCodec(nn.Module, ABC):
    """Base of all codecs.

    Attributes:
        channels: channels of the continuous map.
    """

    channels: int

    @abstractmethod
    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the (B, channels, *size) map of a batch of true labels."""

    @abstractmethod
    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the (B, channels, *size) map that a raw prediction stands for."""

    def encode_expected(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the mean map over all that a raw prediction holds for possible.

        What DDIM's update is derived for: the mean of the clean map, given the noisy
        one. A quantity is its own mean. Differentiable, other than a decision.
        """
        return self.encode_prediction(prediction, size)


class EmptyCodec(LabelCodec):
    """No map at all: no channels, whatever the label or the prediction.

    What a denoiser then predicts comes from the features alone.
    """

    channels = 0

    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Return a (B, 0, *size) map."""
        return torch.zeros(labels.shape[0], 0, *size, device=labels.device)

    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return a (B, 0, *size) map."""
        return self.encode(prediction, size)


class EmbeddingCodec(LabelCodec):
    """Base of the codecs with one learned vector per class.

    Args:
        num_classes: classes, at least 1. The table has one row more.
        channels: width of a vector.
        scale: the map lies within +/- scale; noise has unit variance, so a
            small scale makes the task hard even at little noise.
    """

    def __init__(self, num_classes: int, channels: int, scale: float = 0.01) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f'num_classes must be at least 1, got {num_classes}')
        if scale <= 0:
            raise ValueError(f'scale must be positive, got {scale}')
        self.num_classes = num_classes
        self.channels = channels
        self.scale = scale
        self.table = nn.Embedding(num_classes + 1, channels)

    def squash(self, embedding: Tensor) -> Tensor:
        """Bring an embedding of any size within +/- scale."""
        return (2 * embedding.sigmoid() - 1) * self.scale


class MultiLabelCodec(EmbeddingCodec):
    """Overlapping classes: the mean of one vector per class.

    A class that is present gives its own row, an absent one row 0.

    Args:
        threshold: probability above which a predicted class is present.
        shrink: ``shrink(masks, size)`` brings masks to the grid of the
            continuous map; they stay 0 or 1.

    Shape:
        labels: (B, num_classes, H, W), 0 or 1.
        prediction: (B, num_classes, H, W) logits, before the sigmoid.

    Raises:
        ValueError: masks with a value other than 0 and 1, or another number
            of classes.
    """

    def __init__(self, num_classes: int, channels: int, scale: float = 0.01,
                 threshold: float = 0.5, shrink: Shrink = nearest_shrink) -> None:
        super().__init__(num_classes, channels, scale)
        if not 0 < threshold < 1:
            raise ValueError(f'threshold must lie in (0, 1), got {threshold}')
        self.threshold = threshold
        self.shrink = shrink

    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Embed true masks."""
        if labels.shape[1] != self.num_classes:
            raise ValueError(f'masks must have {self.num_classes} classes, '
                             f'got shape {tuple(labels.shape)}')
        wrong = (labels != 0) & (labels != 1)
        if wrong.any():
            raise ValueError('masks must be 0 or 1, got '
                             f'{labels[wrong].unique()[:8].tolist()}')
        return self._embed(self.shrink(labels, size))

    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Embed the classes whose probability is above the threshold."""
        present = prediction > math.log(self.threshold / (1 - self.threshold))
        return self._embed(self.shrink(present.to(prediction.dtype), size))

    def encode_expected(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Embed probabilities in the place of masks: the mean, but for the squash."""
        return self._embed_any(self.shrink(prediction.sigmoid(), size))

    def _embed_any(self, masks: Tensor) -> Tensor:
        # The mean of num_classes look-ups is linear in the masks: a 1x1 conv.
        weight, absent = self._weight()
        masks = masks.to(weight.dtype)
        return self.squash(F.conv2d(masks, weight[:, :, None, None], absent))

    def _embed(self, masks: Tensor) -> Tensor:
        if self.num_classes > _COMBINED or is_exporting():
            return self._embed_any(masks)
        classes = torch.arange(self.num_classes, device=masks.device)
        number = (masks.long() << classes[:, None, None]).sum(1)
        return F.embedding(number, self._combinations()).permute(0, 3, 1, 2)

    def _weight(self) -> tuple[Tensor, Tensor]:
        """Return (channels, num_classes) and (channels,): what a class adds to none."""
        absent, present = self.table.weight[:1], self.table.weight[1:]
        return ((present - absent) / self.num_classes).mT, absent[0]

    def _combinations(self) -> Tensor:
        """Return the vectors of all sets of classes, a bit of the row for each."""
        weight, absent = self._weight()
        classes = torch.arange(self.num_classes, device=weight.device)
        sets = torch.arange(2 ** self.num_classes, device=weight.device)
        masks = (sets[:, None] >> classes) & 1
        return self.squash(F.linear(masks.to(weight.dtype), weight, absent))
