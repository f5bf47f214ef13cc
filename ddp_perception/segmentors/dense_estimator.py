"""A segmentor of mmseg for tasks that are neither segmentation nor depth."""
from __future__ import annotations

from collections.abc import Sequence

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from ddp_perception.registry import MODELS
from ddp_perception.segmentors.encoder_decoder import EncoderDecoder, in_image


@MODELS.register_module()
class DenseEstimator(EncoderDecoder):
    """Backbone, neck and any `DenseHead`; the head's field is what it predicts.

    mmseg's `EncoderDecoder` writes classes and its `DepthEstimator` depth,
    whatever the head predicts. This one writes ``head.prediction_field``, at
    the size of the image before the pipeline changed it, and how uncertain
    it is.

    Takes the arguments of `EncoderDecoder`. Mirrored inputs are refused:
    how to mirror a prediction back depends on the task.

    Raises:
        ValueError: a mirrored input.
    """

    def postprocess_result(self, seg_logits: Tensor,
                           data_samples: Sequence[SegDataSample] | None = None
                           ) -> Sequence[SegDataSample]:
        """Write (B, C, H, W) predictions into the samples, one (C, h, w) each."""
        for sample in data_samples or ():
            if sample.metainfo.get('flip'):
                raise ValueError(f'{type(self).__name__} cannot mirror '
                                 f'{self.decode_head.prediction_field} back: leave '
                                 'flips out of the test pipeline')
        return super().postprocess_result(seg_logits, data_samples)

    def write_prediction(self, predictions: Tensor,
                         data_samples: Sequence[SegDataSample] | None
                         ) -> Sequence[SegDataSample]:
        """Write the head's field."""
        if data_samples is None:
            data_samples = [SegDataSample() for _ in predictions]
        for sample, prediction in zip(data_samples, predictions, strict=True):
            sample.set_field(
                PixelData(data=in_image(prediction, sample.metainfo,
                                        self.align_corners)),
                self.decode_head.prediction_field)
            sample.set_metainfo(dict(decoder_passes=self.decode_head.passes))
        return data_samples
