"""Segmentation and depth of images as a graph."""
from __future__ import annotations

from typing import Any

import torch
from mmseg.models.utils import resize
from torch import Tensor

from ddp_perception.diffusion import Classes
from ddp_perception.export.graph import Graph, GraphTensor, example


class ImageGraph(Graph):
    """From prepared images to probabilities or metres of their size.

    This is what mmseg's segmentors do with a whole image, or with one of the
    windows that slide over it.

    Args:
        model: `ddp.EncoderDecoder`, or a segmentor like it, with a `DenseHead`.
            It is changed: give a copy.
        size: height and width of the images.
        constant_noise: see `Graph`.
    """

    kind = 'image'

    def __init__(self, model: Any, size: tuple[int, int],
                 constant_noise: bool = False) -> None:
        super().__init__(model.decode_head, constant_noise)
        self.model = model
        self.inputs = [GraphTensor(
            'images', 'prepared images (image, channel, row, column); see '
            'preprocessing', example(2, 3, *size), {0: 'batch'})]
        with torch.no_grad():
            feats = self._features(self.inputs[0].sample[:1])
        self.add_noise_input((feats.shape[-2], feats.shape[-1]))

    def _features(self, images: Tensor) -> Tensor:
        return self.head._transform_inputs(self.model.extract_feat(images))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See `Graph`."""
        named = self.named(tensors)
        size = named['images'].shape[-2:]

        def resized(maps: Tensor) -> Tensor:
            return resize(maps, size, mode='bilinear',
                          align_corners=self.head.align_corners, warning=False)
        prediction, uncertain = self.sample(self._features(named['images']), named)
        prediction = resized(prediction)
        if isinstance(self.outcome, Classes) and not self.head.averages_probabilities:
            prediction = prediction.softmax(1)
        return (prediction, ) if uncertain is None else (
            prediction, resized(uncertain))

    @property
    def meaning(self) -> str:
        """See `Graph`."""
        return {'probabilities': 'of each class, (image, class, row, column)',
                'metres': 'depth, (image, 1, row, column)'}.get(
                    self.predicts, 'what the head predicts')
