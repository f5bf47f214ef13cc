"""Test-time augmentation of segmentation."""
from collections.abc import Sequence

import torch
from mmseg.models.segmentors import SegTTAModel as MMSegTTAModel

from ddp_perception.registry import MODELS


@MODELS.register_module()
class SegTTAModel(MMSegTTAModel):
    """Average the class probabilities of flips and scales.

    mmseg's own takes the softmax of what a segmentor predicts. A
    `SegHead` with ``sampler=dict(average='all')`` predicts probabilities
    already; one more softmax would flatten them, so that a view that is sure
    counts hardly more than one that guesses.

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
        return super().merge_preds(data_samples_list)
