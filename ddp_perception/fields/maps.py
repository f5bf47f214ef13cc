"""Bird's-eye-view maps."""
from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.structures import BaseDataElement
from torch import Tensor

from ddp_perception.fields.boxes import save_boxes
from ddp_perception.fields.field import Field, Setting, prediction_of
from ddp_perception.fields.uncertain import uncertainty_of
from ddp_perception.files import write_file
from ddp_perception.registry import FIELDS

if TYPE_CHECKING:
    from ddp_perception.visualization.panels import Swatch


@FIELDS.register_module(name='pred_map_seg')
class MapField(Field):
    """Probabilities of overlapping map classes, (C, X, Y), x right, y forward.

    Saved as a compressed NumPy archive ``<stem>.npz`` with ``probabilities``
    (float16), ``classes``, ``xbound`` and ``ybound`` (least, greatest, step in
    metres) and ``token``, and ``uncertainty`` (float16, (C, X, Y)) with its
    ``uncertainty_label`` where there is one; drawn among the cameras. Boxes of a
    detector beside the head are drawn on it, and saved by :func:`save_boxes`. A head's
    ``classes``, ``palette`` and ``output_grid`` say what the map shows; without them,
    the data set does. A task of your own whose prediction is such a map derives its
    field from this one and states its names alone.
    """

    prediction, truth, source = 'pred_map_seg', 'gt_map_seg', 'gt_masks_bev'
    further_truth = ('eval_ann_info', )
    plural = 'maps'

    def save(self, sample: BaseDataElement, stem: Path, setting: Setting) -> Path:
        """Write the archive, and the boxes where there are any."""
        save_boxes(sample, stem, setting.metainfo.get('classes', ()))
        probabilities = prediction_of(sample, self.prediction)
        scene = self.scene(setting)
        uncertainty = uncertainty_of(sample, self.prediction, setting)
        further = {} if uncertainty is None else dict(
            uncertainty=uncertainty.values.astype(np.float16),
            uncertainty_label=np.array(uncertainty.label))
        content = io.BytesIO()
        np.savez_compressed(
            content, probabilities=probabilities.astype(np.float16),
            classes=np.array(scene['classes']), xbound=np.array(scene['xbound'], float),
            ybound=np.array(scene['ybound'], float),
            token=np.array(str(sample.metainfo.get('token', ''))), **further)
        return write_file(stem.with_name(f'{stem.name}.npz'), content.getvalue())

    def draw(self, sample: BaseDataElement, path: Path, setting: Setting) -> Path:
        """Draw the cameras around the maps: the prior, predicted and true one."""
        from ddp_perception.visualization import frame_from_sample, save_frame
        frame = frame_from_sample(sample, **self.scene(setting),
                                  palette=_palette(setting),
                                  box_classes=setting.metainfo.get('classes', ()),
                                  prediction=self.prediction, truth=self.truth,
                                  uncertainty=uncertainty_of(sample, self.prediction,
                                                             setting),
                                  **{key: setting.metainfo.get(key, ()) for key in (
                                      'prior_classes', 'prior_palette')})
        return save_frame(frame, path, setting.threshold)

    def draw_truth(self, inputs: Mapping[str, Any] | Tensor, sample: BaseDataElement,
                   path: Path, setting: Setting) -> Path:
        """Draw augmented images and points around the true map."""
        from ddp_perception.visualization import save_frame
        from ddp_perception.visualization.loaded_samples import frame_from_inputs
        scene = dict(palette=_palette(setting), **self.scene(setting), **{
            key: setting.metainfo.get(key, ()) for key in (
                'prior_classes', 'prior_palette')})
        return save_frame(frame_from_inputs(
            inputs, sample, self.truth, scene, setting.metainfo.get('classes', ()),
            setting.bgr), path)

    def paint(self, sample: BaseDataElement, setting: Setting) -> np.ndarray:
        """Paint the classes, forward up, four pixels per cell, in a frame."""
        from ddp_perception.visualization import paint_map
        masks = prediction_of(sample, self.prediction) >= setting.threshold
        picture = paint_map(masks, self.scene(setting)['classes'],
                            _palette(setting))[::-1]
        picture = picture.repeat(4, 0).repeat(4, 1)
        return np.pad(picture, ((2, 2), (2, 2), (0, 0)), constant_values=128)

    def legend(self, setting: Setting) -> list[Swatch]:
        """Return the classes, and the probability from which they are painted."""
        from ddp_perception.visualization.maps import (
            BACKGROUND,
            class_colours,
            paint_order,
        )
        from ddp_perception.visualization.panels import Swatch
        classes = self.scene(setting)['classes']
        colours = class_colours(classes, _palette(setting))
        return [*(Swatch(classes[i].replace('_', ' '), colours[i])
                  for i in paint_order(classes)),
                Swatch(f'none of probability {setting.threshold:g} or above',
                       BACKGROUND)]

    @staticmethod
    def scene(setting: Setting) -> dict[str, Any]:
        """Return classes, xbound and ybound of the map: of head, data set or nuScenes.

        Args:
            setting: its head comes first.
        """
        from ddp_perception.datasets.map_classes import MAP_CLASSES
        from ddp_perception.heads.map_head import NUSCENES_GRID
        grid = getattr(setting.head, 'output_grid', None)
        xbound, ybound = (grid.xbound, grid.ybound) if grid else (
            setting.bounds or NUSCENES_GRID)
        classes = getattr(setting.head, 'classes', None) or setting.metainfo.get(
            'map_classes') or MAP_CLASSES
        return dict(classes=tuple(classes), xbound=tuple(xbound), ybound=tuple(ybound))


def _palette(setting: Setting) -> Sequence | None:
    """Colours of the map: the head's, else the data set's; None for nuScenes' own."""
    return getattr(setting.head, 'palette', None) or setting.metainfo.get('map_palette')
