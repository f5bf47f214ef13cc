"""A segmentor of mmseg for tasks that are neither segmentation nor depth."""
from __future__ import annotations

from collections.abc import Sequence

from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

from ddp_perception.registry import MODELS


@MODELS.register_module()
class DenseEstimator(EncoderDecoder):
    """Backbone, neck and any `DenseHead`; the head's field is what it predicts.

    mmseg's `EncoderDecoder` writes classes and its `DepthEstimator` depth,
    whatever the head predicts. This one writes ``head.prediction_field``, at
    the size of the image before the pipeline changed it.

    Takes the arguments of `EncoderDecoder`. Mirrored inputs are refused:
    how to mirror a prediction back depends on the task.

    Raises:
        ValueError: a mirrored input.
    """

    def postprocess_result(self, seg_logits: Tensor,
                           data_samples: Sequence[SegDataSample] | None = None
                           ) -> Sequence[SegDataSample]:
        """Write (B, C, H, W) predictions into the samples, one (C, h, w) each."""
        if data_samples is None:
            data_samples = [SegDataSample() for _ in seg_logits]
        for sample, prediction in zip(data_samples, seg_logits, strict=True):
            meta = sample.metainfo
            if meta.get('flip'):
                raise ValueError(f'{type(self).__name__} cannot mirror '
                                 f'{self.decode_head.prediction_field} back: leave '
                                 'flips out of the test pipeline')
            left, right, top, bottom = meta.get(
                'img_padding_size', meta.get('padding_size', [0] * 4))
            height, width = prediction.shape[-2:]
            prediction = prediction[:, top:height - bottom, left:width - right]
            if 'ori_shape' in meta:
                prediction = resize(
                    prediction[None], meta['ori_shape'], mode='bilinear',
                    align_corners=self.align_corners, warning=False)[0]
            sample.set_field(PixelData(data=prediction),
                             self.decode_head.prediction_field)
            sample.set_metainfo(dict(decoder_passes=self.decode_head.passes))
        return data_samples
