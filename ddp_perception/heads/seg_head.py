"""Diffusion head for semantic segmentation, for mmseg's EncoderDecoder."""
import inspect
from collections.abc import Sequence

from mmseg.models.losses import accuracy
from torch import Tensor, nn

from ddp_perception.diffusion import (
    AnalogBitsCodec,
    ClassCodec,
    LabelCodec,
    OneHotCodec,
)
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.registry import MODELS


@MODELS.register_module()
class SegHead(DenseHead):
    """Denoise a map of classes conditioned on image features.

    What mmseg receives depends on ``sampler['average']``:

    - ``'last'``: logits of the last step, averaged over the seeds.
    - ``'all'``, the original's ``accumulation``: the mean over all steps and
      seeds of the softmax. Windows and sizes are interpolated and averaged as
      probabilities. Where flips and scales are averaged, mmseg's
      `SegTTAModel` applies one more softmax, as the published multi-scale
      figures of ADE20K contain; ``ddp.SegTTAModel`` averages the
      probabilities themselves.

    Args:
        in_channels, in_index, input_transform, ignore_index, align_corners:
            see :class:`DenseHead`.
        num_classes: classes, at least 1.
        channels: width of the map decoder, and of embedded classes.
        num_layers, num_heads, num_points, feedforward_channels: of the map
            decoder.
        encoding: ``'embedding'`` (learned vectors), ``'one_hot'`` or
            ``'analog_bits'``.
        scale: encoded maps lie within +/- scale; by default 0.01 for the
            embedding and 0.1 for the others.
        sample_range, time_difference: of the diffusion times.
        schedule: see :class:`NoiseSchedule`.
        sampler: settings of :class:`Sampler`.
        self_aligned: see :class:`LabelDiffusion`.
        time_conditioning: False builds layers that ignore the noise level.
        loss_decode: mmseg loss config, or a list. The default divides by all
            pixels, ignored ones included, as published.
        init_cfg: mmengine's initialisation config.

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

    def __init__(self, in_channels: int | Sequence[int], num_classes: int, *,
                 channels: int = 256, num_layers: int = 6, num_heads: int = 8,
                 num_points: int = 4, feedforward_channels: int | None = None,
                 encoding: str = 'embedding', scale: float | None = None,
                 sample_range: tuple[float, float] = (0., 0.999),
                 time_difference: float = 1., schedule: str = 'cosine',
                 sampler: dict | None = None, self_aligned: bool = False,
                 time_conditioning: bool = True,
                 in_index: int | Sequence[int] = -1,
                 input_transform: str | None = None, ignore_index: int = 255,
                 align_corners: bool = False,
                 loss_decode: dict | Sequence[dict] = (
                     dict(type='mmseg.CrossEntropyLoss', loss_weight=1.0),),
                 init_cfg: dict | None = None):
        super().__init__(in_channels, channels, num_classes=num_classes,
                         loss_decode=loss_decode, in_index=in_index,
                         input_transform=input_transform, ignore_index=ignore_index,
                         align_corners=align_corners, init_cfg=init_cfg)
        predictor = nn.Conv2d(channels, num_classes, 1)
        nn.init.normal_(predictor.weight, std=0.01)
        nn.init.zeros_(predictor.bias)
        self.build_diffusion(
            _codec(encoding, num_classes, channels, scale, ignore_index), predictor,
            in_channels=self.in_channels, channels=channels, num_layers=num_layers,
            num_heads=num_heads, num_points=num_points,
            feedforward_channels=feedforward_channels, sample_range=sample_range,
            time_difference=time_difference, schedule=schedule, sampler=sampler,
            self_aligned=self_aligned, time_conditioning=time_conditioning)

    @property
    def accumulates(self) -> bool:
        """Whether predictions are mean probabilities of all steps."""
        return self.sampler.average == 'all'

    def pixel_loss(self, loss: nn.Module, prediction: Tensor, truth: Tensor) -> Tensor:
        """Apply one of mmseg's losses to (B, K, H, W) logits.

        `OhemCrossEntropy` knows the ignored label by its own ``ignore_label``.
        """
        names = inspect.signature(loss.forward).parameters
        takes = 'ignore_index' in names or 'kwargs' in names
        return loss(prediction, truth.squeeze(1),
                    **{'ignore_index': self.ignore_index} if takes else {})

    def figures(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Pixel accuracy in percent, as mmseg's heads log it."""
        return dict(acc_seg=accuracy(prediction, truth.squeeze(1),
                                     ignore_index=self.ignore_index))

    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Average logits or, to accumulate, probabilities."""
        if self.accumulates:
            steps = [step.softmax(2) for step in steps]
        return self.sampler.reduce(steps)


def _codec(encoding: str, num_classes: int, channels: int, scale: float | None,
           ignore_index: int) -> LabelCodec:
    if encoding == 'embedding':
        return ClassCodec(num_classes, channels, scale or 0.01, ignore_index)
    fixed = {'one_hot': OneHotCodec, 'analog_bits': AnalogBitsCodec}
    if encoding not in fixed:
        raise ValueError("encoding must be 'embedding', 'one_hot' or 'analog_bits', "
                         f'got {encoding!r}')
    return fixed[encoding](num_classes, scale or 0.1, ignore_index)
