"""Carry a head's uncertainty through what mmseg does with a prediction."""
from __future__ import annotations

from collections.abc import Sequence

from mmengine.structures import PixelData
from mmseg.models.segmentors import DepthEstimator as MMSegDepthEstimator
from mmseg.models.segmentors import EncoderDecoder as MMSegEncoderDecoder
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from torch import Tensor

from ddp_perception.registry import MODELS


@MODELS.register_module()
class EncoderDecoder(MMSegEncoderDecoder):
    """mmseg's `EncoderDecoder`, which also writes the head's uncertainty.

    mmseg knows one map per image. While it predicts, the head appends its
    uncertainty to the channels of the prediction, so that windows, flips and
    sizes are treated alike; here it is cut off again and written as
    ``<prediction_field>_uncertainty``, (groups, H, W) float32 at the size of the
    image, its kind as the metainfo ``uncertainty``. With a head of mmseg's it
    is mmseg's segmentor.
    """

    out_channels: int

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict (N, C + groups, H, W): prediction and uncertainty."""
        head, channels = self.decode_head, self.out_channels
        if not hasattr(head, 'uncertainty_groups'):  # one of mmseg's
            return super().inference(inputs, batch_img_metas)
        head.appends_uncertainty = True
        self.out_channels = channels + head.uncertainty_groups  # of sliding windows
        try:
            return super().inference(inputs, batch_img_metas)
        finally:
            head.appends_uncertainty, self.out_channels = False, channels

    def postprocess_result(self, seg_logits: Tensor,
                           data_samples: Sequence[SegDataSample] | None = None
                           ) -> Sequence[SegDataSample]:
        """Write both into the samples."""
        head = self.decode_head
        prediction, maps = seg_logits.tensor_split([head.out_channels], 1)
        samples = self.write_prediction(prediction.contiguous(), data_samples)
        if maps.shape[1]:
            for sample, item in zip(samples, maps, strict=True):
                item = in_image(item, sample.metainfo, self.align_corners)
                sample.set_metainfo(dict(uncertainty=head.uncertainty_kind))
                sample.set_field(PixelData(data=item.contiguous()),
                                 f'{head.prediction_field}_uncertainty')
        return samples

    def write_prediction(self, predictions: Tensor,
                         data_samples: Sequence[SegDataSample] | None
                         ) -> Sequence[SegDataSample]:
        """Write the prediction, as the segmentor does without uncertainty."""
        return super().postprocess_result(predictions, data_samples)


@MODELS.register_module()
class DepthEstimator(EncoderDecoder, MMSegDepthEstimator):
    """mmseg's `DepthEstimator`, which also writes the head's uncertainty."""


def in_image(maps: Tensor, meta: dict, align_corners: bool = False) -> Tensor:
    """Undo what the pipeline did to an image, for maps of it.

    Args:
        maps: (C, h, w) of the network's input.
        meta: metainfo of a sample: padding, flip and ``ori_shape``.
        align_corners: of the interpolation.

    Returns:
        (C, H, W) of the image as it was loaded.
    """
    left, right, top, bottom = meta.get('img_padding_size',
                                        meta.get('padding_size', [0] * 4))
    height, width = maps.shape[-2:]
    maps = maps[:, top:height - bottom, left:width - right]
    if meta.get('flip'):
        maps = maps.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
    if 'ori_shape' not in meta:
        return maps
    return resize(maps[None], meta['ori_shape'], mode='bilinear',
                  align_corners=align_corners, warning=False)[0]
