"""Heads on image features, behind mmseg's interface of decode heads."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.heads.training import truth_per_prediction
from ddp_perception.registry import scope_of_parts


class DenseHead(BaseDecodeHead, DiffusionHead):
    """Base of the diffusion heads that mmseg's segmentors take.

    Every image is sampled from the same seeded noise, so a prediction does
    not depend on the batch or crop grid around it. mmseg's losses apply, its
    pixel samplers do not.

    Args:
        in_channels: channels of the features, one number per level where
            ``in_index`` names several.
        out_channels: channels of a prediction.
        loss_decode: loss config, or a list of them; types without a prefix
            are mmseg's, whatever the default scope. None where a head states
            its ``objective`` itself.
        in_index: which of the neck's levels is decoded; several are resized
            to the first and concatenated.
        ignore_index: label that does not count.
        align_corners: how predictions are resized to the truth or the image.
        init_cfg: mmengine's initialisation config.

    Shape:
        inputs: list of (B, in_channels, h, w) features.
        truth: ``truth_field`` of each sample, (..., H, W).
    """

    appends_uncertainty = False

    def __init__(self, in_channels: int | Sequence[int], out_channels: int, *,
                 loss_decode: dict | Sequence[dict] = (),
                 in_index: int | Sequence[int] = -1, ignore_index: int = 255,
                 align_corners: bool = False,
                 init_cfg: dict | None = None) -> None:
        losses = [loss_decode] if isinstance(loss_decode, dict) else loss_decode
        with scope_of_parts('mmseg', *losses):
            super().__init__(
                in_channels, channels=1, num_classes=out_channels,
                out_channels=out_channels, threshold=0., dropout_ratio=0.,
                in_index=in_index, loss_decode=loss_decode, ignore_index=ignore_index,
                input_transform=None if isinstance(in_index, int) else 'resize_concat',
                align_corners=align_corners, init_cfg=init_cfg)
        del self.conv_seg  # the last layer is the denoiser's

    def pixel_loss(self, loss: nn.Module, prediction: Tensor, truth: Tensor) -> Tensor:
        """Apply one loss to a prediction and truth of one size."""
        return loss(prediction, truth)

    def training_log(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return what else to log of a prediction and truth of one size."""
        return {}

    def objective(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Losses of (B, ..., h, w) predictions, resized to the truth."""
        prediction = resize(prediction, truth.shape[-2:], mode='bilinear',
                            align_corners=self.align_corners)
        modules: Iterable[Any] = self.loss_decode if isinstance(
            self.loss_decode, nn.ModuleList) else [self.loss_decode]
        losses: dict[str, Tensor] = {}
        for module in modules:
            value = self.pixel_loss(module, prediction, truth)
            losses[module.loss_name] = losses.get(
                module.loss_name, 0) + value
        return {**losses, **self.training_log(prediction, truth)}

    def loss(self, inputs: Sequence[Tensor],
             batch_data_samples: Sequence[BaseDataElement],
             train_cfg: dict | None = None) -> dict[str, Tensor]:
        """Losses of a batch; see `BaseDecodeHead.loss`."""
        feats = self._transform_inputs(inputs)
        truth = self._stack_batch_gt(batch_data_samples).to(feats.device)
        prediction = self.training_prediction(feats, truth)
        return self.objective(prediction, truth_per_prediction(truth, prediction))

    @property
    def uncertainty_groups(self) -> int:
        """Channels of the uncertainty; 0 where none is asked for."""
        if self.uncertainty_kind is None:
            return 0
        return self.outcome.groups(self.out_channels)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: Sequence[dict],
                test_cfg: dict | None = None) -> Tensor:
        """Predict at the size of the network's input; see `BaseDecodeHead`.

        With ``appends_uncertainty``, which `ddp.EncoderDecoder` sets, the
        uncertainty follows in further channels.
        """
        steps = self.prediction_steps(self._transform_inputs(inputs))
        maps = self.average(steps)
        uncertain = self.uncertainty(steps) if self.appends_uncertainty else None
        if uncertain is not None:
            maps = torch.cat([maps, uncertain], 1)
        return self.predict_by_feat(maps, batch_img_metas)

    def forward(self, inputs: Sequence[Tensor], *noise: Any) -> Tensor:
        """Sample the prediction of a batch, at the size of the features.

        ``noise`` and ``step_noise`` as in :meth:`prediction_steps`.
        """
        return self.average(self.prediction_steps(self._transform_inputs(inputs),
                                                  *noise))

    def _stack_batch_gt(self, batch_data_samples: Sequence[BaseDataElement]) -> Tensor:
        for sample in batch_data_samples:
            if self.truth_field not in sample:
                raise ValueError(
                    f'truth {self.truth_field} is missing in the sample '
                    f'{sample.metainfo.get("img_path", "?")}: load it in the '
                    'training pipeline')
            padding = sample.metainfo.get('padding_size', ())
            size = tuple(sample.get(self.truth_field).shape[-2:])
            if any(padding) and size == tuple(sample.metainfo['img_shape']):
                raise ValueError(
                    f'the image was padded to {padding} (left, right, top, bottom), '
                    f'the truth {self.truth_field} of {size} was not: let the pipeline '
                    'make images of the size that data_preprocessor has')
        return torch.stack([sample.get(self.truth_field).data
                            for sample in batch_data_samples])
