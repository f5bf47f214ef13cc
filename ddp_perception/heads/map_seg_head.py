"""Diffusion head for bird's-eye-view map segmentation."""
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from ddp_perception.diffusion import MultiLabelCodec
from ddp_perception.diffusion.codecs import nearest_shrink
from ddp_perception.heads.base_map_head import BaseMapHead, Scope
from ddp_perception.heads.diffusion_head import DiffusionHead
from ddp_perception.ops import BEVGrid, bilinear_resample, nearest_resample
from ddp_perception.registry import MODELS


class MapPredictor(nn.Conv2d):
    """Last layer: one logit per class and cell, brought to the output grid."""

    def __init__(self, channels: int, num_classes: int, source: BEVGrid,
                 target: BEVGrid):
        super().__init__(channels, num_classes, 1)
        self.source, self.target = source, target

    def forward(self, x: Tensor) -> Tensor:
        """Predict (B, num_classes, *target) logits from (B, C, *source) maps."""
        logits = super().forward(x)
        if self.source == self.target:
            return logits
        return bilinear_resample(logits, self.source, self.target, padding='border')


@MODELS.register_module()
class MapSegHead(DiffusionHead, BaseMapHead):
    """Denoise a BEV map conditioned on BEV features of any detector.

    The noisy map lives on the grid of the features. It is fused with them,
    carried to the decoder's grid and decoded there.

    Args:
        in_channels, classes, input_scope, output_scope, bev_axes, loss,
            loss_weight, keep_steps: see :class:`BaseMapHead`.
        channels: width of the map decoder, and of the noisy map.
        num_layers, num_heads, num_points, feedforward_channels: of the map
            decoder.
        decoder_scope: grid on which the decoder works, ``output_scope`` by
            default. A coarser one costs less; its logits are interpolated.
        scale: encoded maps lie within +/- scale.
        threshold: probability above which a class is fed back as present.
        sample_range, time_difference: of the diffusion times.
        schedule: ``'cosine'`` or ``'linear'``.
        sampler: settings of :class:`Sampler`.
        self_aligned: see :class:`LabelDiffusion`.
        time_conditioning: False builds layers that ignore the noise level, as
            the released BEV models do.
        aligned_feedback: truth and feedback are carried between the two grids
            by their metres; False stretches one grid onto the other, as the
            released BEV models do, which is off by up to 1.2 m.

    Source: DDP, arXiv:2303.17559, BEV map segmentation. Departs from it by
    default: layers know the noise level, feedback is aligned, items of a
    batch stay independent, and only the last step counts.
    """

    def __init__(self, in_channels: int, classes: Sequence[str], input_scope: Scope,
                 output_scope: Scope, *, bev_axes: str = 'xy', loss: str = 'focal',
                 loss_weight: float = 1., keep_steps: bool = False,
                 channels: int = 256, num_layers: int = 5,
                 num_heads: int = 8, num_points: int = 4,
                 feedforward_channels: int | None = None,
                 decoder_scope: Scope | None = None, scale: float = 0.01,
                 threshold: float = 0.5,
                 sample_range: tuple[float, float] = (0., 0.999),
                 time_difference: float = 1., schedule: str = 'cosine',
                 sampler: dict | None = None, self_aligned: bool = False,
                 time_conditioning: bool = True, aligned_feedback: bool = True,
                 init_cfg: dict | None = None):
        super().__init__(in_channels, classes, input_scope, output_scope,
                         bev_axes=bev_axes, loss=loss, loss_weight=loss_weight,
                         keep_steps=keep_steps, init_cfg=init_cfg)
        decoder_grid = BEVGrid.of(decoder_scope or self.output_grid)
        self.build_diffusion(
            MultiLabelCodec(
                len(self.classes), channels, scale, threshold,
                shrink=self._to_features if aligned_feedback else nearest_shrink),
            MapPredictor(channels, len(self.classes), decoder_grid, self.output_grid),
            in_channels=in_channels, channels=channels, num_layers=num_layers,
            num_heads=num_heads, num_points=num_points,
            feedforward_channels=feedforward_channels,
            sample_range=sample_range, time_difference=time_difference,
            schedule=schedule, sampler=sampler, self_aligned=self_aligned,
            time_conditioning=time_conditioning,
            resample=None if decoder_grid == self.input_grid else partial(
                bilinear_resample, source=self.input_grid, target=decoder_grid))

    def _to_features(self, masks: Tensor, size: tuple[int, int]) -> Tensor:
        return nearest_resample(masks, self.output_grid, self.input_grid)

    def training_logits(self, feats: Tensor, masks: Tensor) -> Tensor:
        """Noise the true map to random times, and denoise it once."""
        return self.diffusion.training_prediction(feats, masks)

    def probability_steps(self, feats: Tensor,
                          noise: Tensor | None = None) -> list[Tensor]:
        """Sample; ``noise`` as in :meth:`LabelDiffusion.sample_steps`."""
        return [step.sigmoid() for step in self.prediction_steps(feats, noise)]

    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Average over the passes that count."""
        return self.sampler.reduce(steps)

    def forward(self, feats: Tensor | Sequence[Tensor],
                noise: Tensor | None = None) -> Tensor:
        """Return (B, classes, X, Y) probabilities of BEV features."""
        return self.reduce(self.probability_steps(self.bev_features(feats), noise))
