"""Segmentation and depth of images as a graph."""
from __future__ import annotations

from collections.abc import Mapping
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
        self.size = size
        with torch.no_grad():
            feats = self.features({'images': self.inputs[0].sample[:1]})
        self.add_noise_input((feats.shape[-2], feats.shape[-1]))

    def features(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """See `Graph`."""
        return self.head._transform_inputs(self.model.extract_feat(tensors['images']))

    def output(self, prediction: Tensor, uncertain: Tensor | None
               ) -> tuple[Tensor, ...]:
        """See `Graph`; at the size of the images."""
        def resized(maps: Tensor) -> Tensor:
            return resize(maps, self.size, mode='bilinear',
                          align_corners=self.head.align_corners, warning=False)
        prediction = resized(prediction)
        if isinstance(self.outcome, Classes) and not self.head.averages_probabilities:
            prediction = prediction.softmax(1)
        return super().output(
            prediction, None if uncertain is None else resized(uncertain))

    @property
    def meaning(self) -> str:
        """See `Graph`."""
        return {'probabilities': 'of each class, (image, class, row, column)',
                'metres': 'depth, (image, 1, row, column)'}.get(
                    self.predicts, 'what the head predicts')
