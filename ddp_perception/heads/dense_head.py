"""Diffusion heads behind mmseg's interface of decode heads."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.registry import scope_of_parts


class DenseHead(DiffusionHead, BaseDecodeHead):
    """Base of the heads that mmseg's segmentors take as ``decode_head``.

    Every image is sampled from the same seeded noise, so a prediction does
    not depend on the batch or crop grid around it. mmseg's pixel samplers do
    not apply; its losses do, `OhemCrossEntropy` among them.

    Args:
        in_channels: channels of the features, one number per level with
            ``input_transform='resize_concat'``.
        channels: width of the map decoder.
        num_classes: output channels.
        loss_decode: loss config, or a list of them; types without a prefix
            are mmseg's, whatever the default scope.
        in_index: which of the neck's levels is decoded.
        input_transform: None, or ``'resize_concat'`` to concatenate several.
        ignore_index: label that does not count.
        align_corners: of the resizing to the label's or image's size.
        init_cfg: mmengine's initialisation config.

    Attributes:
        truth_field (str): field of a data sample that holds the truth.
    """

    truth_field: str

    def __init__(self, in_channels: int | Sequence[int], channels: int, *,
                 num_classes: int, loss_decode: dict | Sequence[dict],
                 in_index: int | Sequence[int] = -1,
                 input_transform: str | None = None, ignore_index: int = 255,
                 align_corners: bool = False, init_cfg: dict | None = None):
        if input_transform not in (None, 'resize_concat'):
            raise ValueError("input_transform must be None or 'resize_concat', "
                             f'got {input_transform!r}')
        losses = [loss_decode] if isinstance(loss_decode, dict) else loss_decode
        with scope_of_parts('mmseg', *losses):
            super().__init__(in_channels, channels, num_classes=num_classes,
                             out_channels=num_classes, threshold=0., dropout_ratio=0.,
                             in_index=in_index, input_transform=input_transform,
                             loss_decode=loss_decode, ignore_index=ignore_index,
                             align_corners=align_corners, init_cfg=init_cfg)
        del self.conv_seg  # the last layer is the denoiser's

    @abstractmethod
    def pixel_loss(self, loss: nn.Module, prediction: Tensor, truth: Tensor) -> Tensor:
        """Apply one loss to predictions and truth of one size."""

    def figures(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """What else to log of predictions and truth of one size."""
        return {}

    @abstractmethod
    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Make one prediction of those of every step, each (B, seeds, ...)."""

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: Sequence,
             train_cfg: dict | None = None) -> dict[str, Tensor]:
        """Losses of a batch; see `BaseDecodeHead.loss`."""
        feats = self._transform_inputs(inputs)
        truth = self._stack_batch_gt(batch_data_samples).to(feats.device)
        prediction = self.diffusion.training_prediction(feats, truth)
        return self.loss_by_feat(prediction, batch_data_samples)

    def loss_by_feat(self, prediction: Tensor,
                     batch_data_samples: Sequence) -> dict[str, Tensor]:
        """Losses of (B, ..., h, w) predictions, resized to the truth."""
        truth = self._stack_batch_gt(batch_data_samples).to(prediction.device)
        prediction = resize(prediction, truth.shape[-2:], mode='bilinear',
                            align_corners=self.align_corners)
        modules = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) \
            else [self.loss_decode]
        losses = {}
        for module in modules:
            value = self.pixel_loss(module, prediction, truth)
            losses[module.loss_name] = losses.get(module.loss_name, 0) + value
        return {**losses, **self.figures(prediction, truth)}

    def forward(self, inputs: Sequence[Tensor], noise: Tensor | None = None,
                step_noise: Sequence[Tensor] | None = None) -> Tensor:
        """Sample the prediction of a batch, at the size of the features.

        ``noise`` and ``step_noise`` as in :meth:`prediction_steps`.
        """
        return self.reduce(self.prediction_steps(
            self._transform_inputs(inputs), noise, step_noise))

    def _stack_batch_gt(self, batch_data_samples: Sequence) -> Tensor:
        for sample in batch_data_samples:
            if self.truth_field not in sample:
                raise ValueError(
                    f'truth {self.truth_field} is missing in the sample '
                    f'{sample.metainfo.get("img_path", "?")}: load it in the '
                    'training pipeline')
        return torch.stack([sample.get(self.truth_field).data
                            for sample in batch_data_samples])
