"""Test-time augmentation of segmentation."""
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import SegTTAModel as MMSegTTAModel

from ddp_perception.registry import MODELS

UNCERTAINTY = 'pred_sem_seg_uncertainty'


@MODELS.register_module()
class SegTTAModel(MMSegTTAModel):
    """Average the class probabilities of flips and scales.

    mmseg's own takes the softmax of what a segmentor predicts. A
    `SegHead` with ``sampler=dict(average='all')`` predicts probabilities
    already; one more softmax would flatten them, so that a view that is sure
    counts hardly more than one that guesses. Uncertainty is averaged too.

    Args:
        module: the segmentor.
        data_preprocessor: as in mmseg's.
    """

    def merge_preds(self, data_samples_list: Sequence) -> list:
        """Merge the views of each image; see mmseg's `SegTTAModel`."""
        if getattr(self.module.decode_head, 'accumulates', False):
            smallest = torch.finfo(torch.float32).tiny
            for view in (view for views in data_samples_list for view in views):
                scores = view.seg_logits
                # The softmax of their logarithm is the probabilities again.
                scores.data = scores.data.float().clamp(min=smallest).log()
        merged = super().merge_preds(data_samples_list)
        for sample, views in zip(merged, data_samples_list, strict=True):
            maps = [view.get(UNCERTAINTY).data for view in views if UNCERTAINTY in view]
            if maps:
                sample.set_field(PixelData(data=torch.stack(maps).mean(0)), UNCERTAINTY)
        return merged
