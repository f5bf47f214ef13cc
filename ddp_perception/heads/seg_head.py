"""Diffusion head for semantic segmentation, for mmseg's EncoderDecoder."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.models.losses import accuracy
from torch import Tensor, nn

from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import (
    AnalogBitsCodec,
    ClassCodec,
    Classes,
    LabelCodec,
    OneHotCodec,
    Sampler,
)
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.heads.renamed_options import names_options
from ddp_perception.ops import PointwiseConv2d
from ddp_perception.registry import MODELS

SCALES = {'embedding': 0.01, 'one_hot': 0.1, 'analog_bits': 0.1}
"""Published scale of each encoding."""


@MODELS.register_module()
class SegHead(DenseHead):
    """Denoise a map of classes conditioned on image features.

    What mmseg receives depends on ``sampler['average']``:

    - ``'last'``: logits of the last step, averaged over the seeds.
    - ``'all'``, the original's ``accumulation``: the mean over all steps and
      seeds of the softmax. Windows and sizes are interpolated and averaged as
      probabilities. Where flips and scales are averaged, mmseg's
      `SegTTAModel` applies one more softmax, as the published multi-scale
      results on ADE20K contain; ``ddp.SegTTAModel`` averages the
      probabilities themselves.

    Args:
        in_channels, in_index, ignore_index, align_corners, init_cfg: see
            :class:`DenseHead`.
        num_classes: classes, at least 1.
        encoding: ``'embedding'`` (learned vectors), ``'one_hot'`` or
            ``'analog_bits'``.
        loss_decode: mmseg loss config, or a list. The default divides by all
            pixels, ignored ones included, as published.
        decoder: `DecoderOptions`.
        diffusion: `DiffusionOptions`; the scale is 0.01 for the embedding and
            0.1 for the others by default.
        sampler: options of `Sampler`.

    Shape:
        inputs: list of (B, in_channels, h, w) features.
        truth: ``gt_sem_seg``, (1, H, W) integers in each sample.
        returns: (B, num_classes, h, w) from `forward`, at the size of the
            image from `predict`.

    Raises:
        ValueError: an unknown option, missing truth, or labels out of range.

    Source: DDP, arXiv:2303.17559. Departs from it: any batch size.
    """

    truth_field = 'gt_sem_seg'
    prediction_field = 'pred_sem_seg'
    outcome = Classes()

    @names_options
    def __init__(
            self, in_channels: int | Sequence[int], num_classes: int, *,
            encoding: str = 'embedding', in_index: int | Sequence[int] = -1,
            ignore_index: int = 255, align_corners: bool = False,
            loss_decode: dict | Sequence[dict] = (
                     dict(type='mmseg.CrossEntropyLoss', loss_weight=1.0),),
            decoder: DecoderOptions | Mapping[str, Any] | None = None,
            diffusion: DiffusionOptions | Mapping[str, Any] | None = None,
            sampler: Sampler | Mapping[str, Any] | None = None,
            init_cfg: dict | None = None) -> None:
        super().__init__(in_channels, num_classes, loss_decode=loss_decode,
                         in_index=in_index, ignore_index=ignore_index,
                         align_corners=align_corners, init_cfg=init_cfg)
        if encoding not in SCALES:
            raise ValueError(f'encoding must be one of {tuple(SCALES)}, got '
                             f'{encoding!r}')
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion, scale=SCALES[encoding])
        predictor = PointwiseConv2d(decoder.channels, num_classes)
        nn.init.normal_(predictor.weight, std=0.01)
        nn.init.zeros_(predictor.bias)  # type: ignore[arg-type]  # it has one
        self.build_diffusion(
            self.in_channels,
            _codec(encoding, num_classes, decoder.channels, diffusion.scale,
                   ignore_index),
            predictor, decoder=decoder, diffusion=diffusion, sampler=sampler)

    @property
    def accumulates(self) -> bool:
        """Whether predictions are mean probabilities of all steps."""
        return self.sampler.average == 'all'

    @property
    def averages_probabilities(self) -> bool:
        """Whether :meth:`meaning` gives probabilities, rather than logits."""
        return self.accumulates

    def pixel_loss(self, loss: nn.Module, prediction: Tensor, truth: Tensor) -> Tensor:
        """Apply one of mmseg's losses to (B, K, H, W) logits."""
        # OhemCrossEntropy knows the ignored label by an option of its own.
        ignored = {} if hasattr(loss, 'ignore_label') else {
            'ignore_index': self.ignore_index}
        return loss(prediction, truth.squeeze(1), **ignored)

    def training_log(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Pixel accuracy in percent, as mmseg's heads log it."""
        return dict(acc_seg=accuracy(prediction, truth.squeeze(1),
                                     ignore_index=self.ignore_index))

    def meaning(self, prediction: Tensor) -> Tensor:
        """Average logits or, to accumulate, probabilities."""
        return prediction.softmax(2) if self.accumulates else prediction


def _codec(encoding: str, num_classes: int, channels: int, scale: float,
           ignore_index: int) -> LabelCodec:
    if encoding == 'embedding':
        return ClassCodec(num_classes, channels, scale, ignore_index)
    kind = OneHotCodec if encoding == 'one_hot' else AnalogBitsCodec
    return kind(num_classes, scale, ignore_index)
