"""From a sample of a data set to what a head gets."""
from __future__ import annotations

from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from ddp_perception.diffusion.codecs import nearest_shrink
from ddp_perception.heads import BEVHead
from ddp_perception.probing.features import truth_of
from ddp_perception.study.tasks import MapTask, SegmentationTask, Task


class Encoder:
    """Run a model up to its head.

    Args:
        model: a segmentor of mmseg, or a detector with a map head.
        metainfo: of the data set: classes and palette.
        truth_stride: see `Study`.

    Attributes:
        task: what the model predicts.

    Raises:
        ValueError: the model predicts neither classes nor maps.
    """

    task: Task

    def __init__(self, model: nn.Module, metainfo: dict[str, Any],
                 truth_stride: int = 1) -> None:
        self.model: Any = model.eval()
        self.stride = truth_stride
        head: Any = getattr(model, 'seg_head', None)
        if getattr(head, 'prediction_field', None) == 'pred_map_seg':
            palette = metainfo.get('map_palette') or _palette(head.classes)
            self.task = MapTask(tuple(head.classes), tuple(map(tuple, palette)))
        elif hasattr(model, 'decode_head') and 'palette' in metainfo:
            head = self.model.decode_head
            self.task = SegmentationTask(
                tuple(metainfo['classes']), tuple(map(tuple, metainfo['palette'])),
                head.ignore_index)
        else:
            raise ValueError('a study needs a model that predicts classes of pixels or '
                             f'maps, got {type(model).__name__}')
        self.head = head

    @torch.no_grad()
    def __call__(self, sample: Any) -> tuple[Tensor, Tensor]:
        """Return features (C, H, W) and truth (k, Y, X) of a sample."""
        # As in training, crops of images that are smaller are padded to their size.
        data = self.model.data_preprocessor(
            pseudo_collate([sample]), isinstance(self.task, SegmentationTask))
        inputs, samples = data['inputs'], data['data_samples']
        if isinstance(self.head, BEVHead):
            feats = self.head.bev_features(self.model.extract_feat(
                inputs, [item.metainfo for item in samples]))
        else:
            feats = self.head._transform_inputs(self.model.extract_feat(inputs))
        truth, = truth_of(samples, self.task.truth_field)
        size = [length // self.stride for length in truth.shape[-2:]]
        return feats[0].cpu(), nearest_shrink(truth, (size[0], size[1])).cpu()

    def head_settings(self, channels: int) -> dict[str, Any]:
        """Return the settings by which any head reads these features."""
        if not isinstance(self.head, BEVHead):
            return dict(in_channels=channels, in_index=0)
        head: Any = self.head
        return dict(in_channels=channels, bev_axes='xy', classes=list(head.classes),
                    **{name: [list(grid.xbound), list(grid.ybound)]
                       for name, grid in (('input_grid', head.input_grid),
                                          ('output_grid', head.output_grid))})


def _palette(classes: tuple[str, ...]) -> list[tuple[int, int, int]]:
    from ddp_perception.visualization.maps import class_colours
    return class_colours(classes)
