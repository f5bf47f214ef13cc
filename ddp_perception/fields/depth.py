"""Depth of images."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from ddp_perception.fields.field import Field, Setting, prediction_of, values_of
from ddp_perception.fields.images import (
    image_of,
    loaded_image,
    place_in_image,
    write_png,
)
from ddp_perception.fields.uncertain import save_uncertainty, uncertainty_in_image
from ddp_perception.registry import FIELDS

LARGEST_DEPTH = 255.
"""Metres; 16 bits of metres x 256 hold less than 256."""


@FIELDS.register_module(name='pred_depth_map')
class DepthField(Field):
    """Metres per pixel.

    Saved as ``<stem>_depth.png``, 16 bit metres x 256 at the size of the
    image, 0 where there is none; the uncertainty beside it, where there is
    one, as ``<stem>_uncertainty.npz``.
    """

    prediction, truth = 'pred_depth_map', 'gt_depth_map'
    plural = 'depth maps'
    picture_ending = '_picture.jpg'

    def save(self, sample: BaseDataElement, stem: Path, setting: Setting) -> Path:
        """Write the metres, clamped to the head's range."""
        from ddp_perception.evaluation.depth_export import to_benchmark
        least = getattr(setting.head, 'min_depth', 1e-3)
        greatest = getattr(setting.head, 'max_depth', LARGEST_DEPTH)
        stored = to_benchmark(prediction_of(sample, self.prediction)[0], least,
                              min(greatest, LARGEST_DEPTH))
        save_uncertainty(uncertainty_in_image(sample, self.prediction, setting), stem)
        return write_png(stem.with_name(f'{stem.name}_depth.png'),
                         place_in_image(sample, stored))

    def paint(self, sample: BaseDataElement, setting: Setting) -> np.ndarray:
        """Paint the depth, near bright."""
        from ddp_perception.visualization.dense import paint_depth
        depth = place_in_image(sample, prediction_of(sample, self.prediction)[0])
        return paint_depth(depth, getattr(setting.head, 'max_depth', 80.))

    def draw(self, sample: BaseDataElement, path: Path, setting: Setting) -> Path:
        """Draw the image and its depth in colour."""
        from ddp_perception.visualization import save_depth
        depth = place_in_image(sample, prediction_of(sample, self.prediction)[0])
        truth = values_of(sample, self.truth)
        if truth is not None:
            truth = place_in_image(sample, truth[0])
        uncertainty = uncertainty_in_image(sample, self.prediction, setting)
        return save_depth(path, image_of(sample), depth, truth,
                          uncertainty,
                          max_depth=getattr(setting.head, 'max_depth', 80.))

    def draw_truth(self, inputs: Tensor, sample: BaseDataElement, path: Path,
                   setting: Setting) -> Path:
        """Draw the augmented image and its true depth."""
        from ddp_perception.visualization import save_depth
        truth = prediction_of(sample, self.truth)[0]
        return save_depth(path, loaded_image(inputs, truth.shape, setting), None, truth)
