"""Codecs for one class per pixel: each class has a vector.

They differ in their vectors alone: learned ones, one channel per class, or
the bits of the class index.

Source: DDP, arXiv:2303.17559 (class embedding, one-hot); Analog Bits,
arXiv:2208.04202.
"""
from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from ddp_perception.diffusion.codecs import (
    EmbeddingCodec,
    LabelCodec,
    nearest_shrink,
)


class VectorCodec(LabelCodec):
    """Base: look the class of each pixel up in a table of vectors.

    Attributes:
        num_classes: classes; row ``num_classes`` of the table stands for
            ignored pixels.
        ignore_index: label of pixels without a class.

    Shape:
        labels: (B, H, W) or (B, 1, H, W) integers in [0, num_classes) or
            ``ignore_index``.
        prediction: (B, num_classes, h, w) logits; the largest counts.

    Raises:
        ValueError: a label that is neither a class nor ``ignore_index``.
    """

    num_classes: int
    ignore_index: int

    @abstractmethod
    def vectors(self) -> Tensor:
        """Return the (num_classes + 1, channels) table, within +/- scale."""

    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode labels, shrunk to ``size`` by nearest neighbour."""
        if labels.dim() == 4:
            labels = labels.squeeze(1)
        ignored = labels == self.ignore_index
        wrong = ~ignored & ((labels < 0) | (labels >= self.num_classes))
        if wrong.any():
            raise ValueError(
                f'labels must lie in [0, {self.num_classes}) or be '
                f'{self.ignore_index}, got {labels[wrong].unique()[:8].tolist()}')
        rows = labels.long().masked_fill(ignored, self.num_classes)
        return self._look_up(nearest_shrink(rows, size))

    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode the class with the largest logit."""
        return self._look_up(nearest_shrink(prediction.argmax(1), size))

    def encode_expected(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the mean of the classes' vectors by their probabilities."""
        probability = nearest_shrink(prediction, size).softmax(1)
        vectors = self.vectors()[:self.num_classes].to(probability.dtype)
        return F.conv2d(probability, vectors.mT[:, :, None, None])

    def decode(self, maps: Tensor) -> Tensor:
        """Return the (B, H, W) labels whose vectors are nearest to ``maps``."""
        vectors = self.vectors()
        # |z - v|^2 without |z|^2, which is the same for all vectors.
        distance = vectors.pow(2).sum(1)[:, None, None] \
            - 2 * torch.einsum('bchw,kc->bkhw', maps, vectors)
        rows = distance.argmin(1)
        return rows.masked_fill(rows == self.num_classes, self.ignore_index)

    def _look_up(self, rows: Tensor) -> Tensor:
        return F.embedding(rows, self.vectors()).permute(0, 3, 1, 2)


class ClassCodec(VectorCodec, EmbeddingCodec):
    """Learned vectors, squashed to +/- scale.

    Args:
        num_classes: classes, at least 1.
        channels: width of a vector.
        scale: greatest absolute value of the map.
        ignore_index: label of pixels without a class.

    Shape and errors: see :class:`VectorCodec`.
    """

    def __init__(self, num_classes: int, channels: int, scale: float = 0.01,
                 ignore_index: int = 255) -> None:
        super().__init__(num_classes, channels, scale)
        self.ignore_index = ignore_index

    def vectors(self) -> Tensor:
        """Return the squashed table."""
        return self.squash(self.table.weight)


class FixedVectorCodec(VectorCodec):
    """Base of the codecs whose vectors are not learned.

    Args:
        code: (num_classes + 1, channels) vectors within +/- 1.
        scale: greatest absolute value of the map.
        ignore_index: label of pixels without a class.
    """

    code: Tensor

    def __init__(self, code: Tensor, scale: float, ignore_index: int) -> None:
        super().__init__()
        if scale <= 0:
            raise ValueError(f'scale must be positive, got {scale}')
        self.num_classes, self.channels = code.shape[0] - 1, code.shape[1]
        self.ignore_index = ignore_index
        self.scale = scale
        self.register_buffer('code', code * scale, persistent=False)

    def vectors(self) -> Tensor:
        """Return the fixed table."""
        return self.code


class OneHotCodec(FixedVectorCodec):
    """One channel per class: +scale for the pixel's own, -scale for others.

    An ignored pixel is zero in every channel: no class is more likely.

    Args:
        num_classes: classes, at least 1; also the channels of the map.
        scale: greatest absolute value of the map.
        ignore_index: label of pixels without a class.

    Shape and errors: see :class:`VectorCodec`.
    """

    def __init__(self, num_classes: int, scale: float = 0.1,
                 ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise ValueError(f'num_classes must be at least 1, got {num_classes}')
        code = torch.cat([2 * torch.eye(num_classes) - 1, torch.zeros(1, num_classes)])
        super().__init__(code, scale, ignore_index)


class AnalogBitsCodec(FixedVectorCodec):
    """One channel per bit of the class index: +scale for 1, -scale for 0.

    Ignored pixels have the index ``num_classes``.

    Args:
        num_classes: classes, at least 1. The map has as many channels as
            ``num_classes`` has bits.
        scale: greatest absolute value of the map.
        ignore_index: label of pixels without a class.

    Shape and errors: see :class:`VectorCodec`.

    Source: Analog Bits, arXiv:2208.04202.
    """

    def __init__(self, num_classes: int, scale: float = 0.1,
                 ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise ValueError(f'num_classes must be at least 1, got {num_classes}')
        place = torch.arange(num_classes.bit_length())
        bits = (torch.arange(num_classes + 1)[:, None] >> place) & 1
        super().__init__(2. * bits - 1, scale, ignore_index)
