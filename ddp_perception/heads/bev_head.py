"""Heads on bird's-eye-view features, behind mmdet3d's interface."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from ddp_perception.heads.training import truth_per_prediction
from ddp_perception.ops import BEVGrid

Bounds = BEVGrid | Sequence[Sequence[float]]


class BEVHead(BaseModule):
    """Base of the heads that detectors take as ``seg_head``, of any task.

    Features come in; samples hold the truth and get the prediction. A head
    says itself what is learned (``training_prediction``, ``objective``), how
    it predicts (``prediction_steps``, ``average``, ``passes``) and what a
    prediction means (``meaning`` and, where it can say so, ``uncertainty``). For
    a diffusion head all but the objective come from `DiffusionHead`, which it
    names as its second base.

    Args:
        in_channels: channels of the BEV features.
        input_grid: (x, y) bounds of the features, each (min, max, cell) in
            metres.
        bev_axes: ``'xy'`` for features (B, C, X, Y), as BEVFusion makes them;
            ``'yx'`` for (B, C, Y, X), as mmdet3d's other detectors do.
        keep_steps: predictions also give every step's mean over the seeds to
            their sample, as ``<prediction_field>_steps``.
        keep_seeds: predictions also give the last step of every seed, (S, C, X, Y),
            as ``<prediction_field>_seeds``.
        init_cfg: mmengine's initialisation config.

    Shape:
        feats: (B, in_channels, *cells of input_grid), LiDAR frame, or a list
            of exactly one such tensor.

    Raises:
        ValueError: features of another shape than the grid says, missing
            truth, or an unknown option.
    """

    truth_field: str
    prediction_field: str
    truth_loader = 'a step that loads it'
    passes: dict[str, int]
    training_prediction: Callable[[Tensor, Tensor], Tensor]
    objective: Callable[[Tensor, Tensor], dict[str, Tensor]]
    prediction_steps: Callable[..., list[Tensor]]
    meaning: Callable[[Tensor], Tensor]
    average: Callable[[Sequence[Tensor]], Tensor]
    uncertainty: Callable[[Sequence[Tensor]], Tensor | None]
    uncertainty_kind: str | None

    def __init__(self, in_channels: int, input_grid: Bounds, *, bev_axes: str = 'xy',
                 keep_steps: bool = False, keep_seeds: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if bev_axes not in ('xy', 'yx'):
            raise ValueError(f"bev_axes must be 'xy' or 'yx', got {bev_axes!r}")
        self.in_channels = in_channels
        self.input_grid = BEVGrid.of(input_grid)
        self.bev_axes = bev_axes
        self.keep_steps = keep_steps
        self.keep_seeds = keep_seeds

    @classmethod
    def detector_defaults(cls) -> dict[str, Any]:
        """Options that a detector fills in where its configuration has none."""
        return {}

    def check_truth(self, truth: Tensor) -> None:
        """Raise ValueError where a batch of truth does not fit the head."""

    def bev_features(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Check features and bring them into (X, Y) order."""
        if not isinstance(feats, Tensor):
            if len(feats) != 1:
                raise ValueError(f'{type(self).__name__} takes one feature level, got '
                                 f'{len(feats)}')
            feats = feats[0]
        feats = feats.mT if self.bev_axes == 'yx' else feats
        expected = (self.in_channels, *self.input_grid.shape)
        if tuple(feats.shape[1:]) != expected:
            raise ValueError(
                f'BEV features must have the shape (B, {expected[0]}, X={expected[1]}, '
                f'Y={expected[2]}) of input_grid, got {tuple(feats.shape)}'
                f'{" after the transpose" if self.bev_axes == "yx" else ""}')
        return feats

    def loss(self, feats: Tensor | Sequence[Tensor],
             batch_data_samples: Sequence[BaseDataElement]) -> dict[str, Tensor]:
        """Losses of a batch whose samples hold the truth."""
        feats = self.bev_features(feats)
        for sample in batch_data_samples:
            if self.truth_field not in sample:
                raise ValueError(
                    f'truth {self.truth_field} is missing in the sample '
                    f'{sample.metainfo.get("token", "?")}: the training pipeline needs '
                    f'{self.truth_loader} and must end with ddp.PackMapInputs')
        truth = torch.stack([sample.get(self.truth_field).data
                             for sample in batch_data_samples]).to(feats.device)
        self.check_truth(truth)
        prediction = self.training_prediction(feats, truth)
        return self.objective(prediction, truth_per_prediction(truth, prediction))

    def predict(self, feats: Tensor | Sequence[Tensor],
                batch_data_samples: Sequence[BaseDataElement]) -> list[PixelData]:
        """Predict a batch, float32, and write it into the samples.

        Every sample gets ``prediction_field`` and the metainfo
        ``decoder_passes``; where the head says how uncertain it is, also
        ``<prediction_field>_uncertainty``, (groups, X, Y), and its kind as
        the metainfo ``uncertainty``.
        """
        steps = [step.float() for step in
                 self.prediction_steps(self.bev_features(feats))]
        # Of a head that is no diffusion head there may be no uncertainty.
        uncertain = self.uncertainty(steps) if hasattr(self, 'uncertainty') else None
        predictions = self.write(self.average(steps), uncertain, batch_data_samples)
        if self.keep_seeds:
            for index, sample in enumerate(batch_data_samples):
                sample.set_field(self.meaning(steps[-1])[index],
                                 f'{self.prediction_field}_seeds')
        if self.keep_steps:
            for index, sample in enumerate(batch_data_samples):
                sample.set_field(
                    torch.stack([self.meaning(step)[index].mean(0) for step in steps]),
                    f'{self.prediction_field}_steps')
        return predictions

    def write(self, maps: Tensor, uncertain: Tensor | None,
              samples: Sequence[BaseDataElement]) -> list[PixelData]:
        """Write predictions into samples.

        Args:
            maps: (B, C, X, Y) predictions.
            uncertain: (B, groups, X, Y), or None.
            samples: B of them.

        Returns:
            The predictions, as they were written.
        """
        predictions = [PixelData(data=item) for item in maps]
        for index, sample in enumerate(samples):
            sample.set_metainfo(dict(decoder_passes=self.passes))
            sample.set_field(predictions[index], self.prediction_field)
            if uncertain is not None:
                sample.set_metainfo(dict(uncertainty=self.uncertainty_kind))
                sample.set_field(PixelData(data=uncertain[index]),
                                 f'{self.prediction_field}_uncertainty')
        return predictions

    def forward(self, feats: Tensor | Sequence[Tensor], *noise: Any) -> Tensor:
        """Return the prediction of BEV features.

        ``noise`` is handed to ``prediction_steps``.
        """
        return self.average(self.prediction_steps(self.bev_features(feats), *noise))
