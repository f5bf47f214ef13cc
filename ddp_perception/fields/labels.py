"""Label maps of images."""
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


@FIELDS.register_module(name='pred_sem_seg')
class LabelField(Field):
    """One class per pixel.

    Saved as ``<stem>_labels.png``, 8 or 16 bit indices of the data set's
    classes at the size of the image; the greatest value where nothing is
    predicted. The uncertainty beside it, where there is one, as
    ``<stem>_uncertainty.npz``.
    """

    prediction, truth = 'pred_sem_seg', 'gt_sem_seg'
    plural = 'label maps'
    picture_ending = '_overlay.jpg'

    def save(self, sample: BaseDataElement, stem: Path, setting: Setting) -> Path:
        """Write the indices."""
        kind = np.uint8 if len(setting.metainfo['classes']) < 256 else np.uint16
        labels = prediction_of(sample, self.prediction)[0].astype(kind)
        labels = place_in_image(sample, labels, outside=np.iinfo(kind).max)
        save_uncertainty(uncertainty_in_image(sample, self.prediction, setting), stem)
        return write_png(stem.with_name(f'{stem.name}_labels.png'), labels)

    def paint(self, sample: BaseDataElement, setting: Setting) -> np.ndarray:
        """Paint class colours over the image."""
        from ddp_perception.visualization import overlay_labels
        labels = prediction_of(sample, self.prediction)[0].astype(np.int64)
        return overlay_labels(
            image_of(sample),
            place_in_image(sample, labels, outside=setting.ignore_index),
            setting.metainfo['palette'], setting.ignore_index)

    def draw(self, sample: BaseDataElement, path: Path, setting: Setting) -> Path:
        """Draw classes in colour over the image, with a legend."""
        from ddp_perception.visualization import save_segmentation
        classes = setting.metainfo['classes']
        labels = prediction_of(sample, self.prediction)[0].astype(np.int64)
        labels = place_in_image(sample, labels, outside=setting.ignore_index)
        truth = self._true_labels(sample, setting)
        if truth is not None:
            truth = place_in_image(sample, truth, outside=setting.ignore_index)
        return save_segmentation(path, image_of(sample), labels, classes,
                                 setting.metainfo['palette'], truth,
                                 uncertainty_in_image(sample, self.prediction, setting),
                                 ignore_index=setting.ignore_index)

    def draw_truth(self, inputs: Tensor, sample: BaseDataElement, path: Path,
                   setting: Setting) -> Path:
        """Draw the augmented image and its true labels over it."""
        from ddp_perception.visualization import save_segmentation
        truth = self._true_labels(sample, setting)
        assert truth is not None
        return save_segmentation(
            path, loaded_image(inputs, truth.shape, setting), None,
            setting.metainfo['classes'], setting.metainfo['palette'], truth,
            ignore_index=setting.ignore_index)

    def _true_labels(self, sample: BaseDataElement, setting: Setting
                     ) -> np.ndarray | None:
        """Return (H, W) int64 where there is a truth, without labels of no class."""
        truth = values_of(sample, self.truth)
        if truth is None:
            return None
        truth = truth[0].astype(np.int64)
        truth[(truth < 0) | (truth >= len(setting.metainfo['classes']))] = (
            setting.ignore_index)
        return truth
