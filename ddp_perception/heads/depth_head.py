"""Diffusion head for monocular depth, for mmseg's DepthEstimator."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ddp_perception.diffusion import DepthCodec
from ddp_perception.heads.dense_head import DenseHead
from ddp_perception.registry import MODELS


class DepthPredictor(nn.Conv2d):
    """Last layer: a 3x3 convolution, and metres of it.

    Args:
        channels: of the decoded map.
        min_depth, max_depth: metres.
        scale_up: depth is ``max_depth sigmoid(x)``; otherwise
            ``relu(x) + min_depth``, which has no upper end.
    """

    def __init__(self, channels: int, min_depth: float, max_depth: float,
                 scale_up: bool = False):
        super().__init__(channels, 1, 3, padding=1)
        self.min_depth, self.max_depth, self.scale_up = min_depth, max_depth, scale_up

    def forward(self, x: Tensor) -> Tensor:
        """Predict (B, 1, h, w) metres from (B, channels, h, w) maps."""
        x = super().forward(x)
        if self.scale_up:
            return x.sigmoid() * self.max_depth
        return F.relu(x) + self.min_depth


@MODELS.register_module()
class DepthHead(DenseHead):
    """Denoise a depth map conditioned on image features.

    Args:
        in_channels, in_index, input_transform, align_corners: see
            :class:`DenseHead`.
        min_depth, max_depth: range of depth, metres. Predictions are clamped
            to it, in feedback and at the end.
        channels: width of the map decoder.
        num_layers, num_heads, num_points, feedforward_channels: of the map
            decoder.
        scale_up: see :class:`DepthPredictor`.
        scale: encoded depth lies within +/- scale.
        sparse_truth: what cells without LiDAR returns are noised from,
            ``'fill'``, ``'centre'`` or, as the released models were trained,
            ``'bilinear'``; see :class:`DepthCodec`.
        sample_range, time_difference: of the diffusion times.
        schedule: see :class:`NoiseSchedule`.
        sampler: settings of :class:`Sampler`.
        self_aligned: see :class:`LabelDiffusion`.
        time_conditioning: False builds layers that ignore the noise level, as
            the released depth models do.
        loss_decode: config of a loss of depth, or a list.
        init_cfg: mmengine's initialisation config.

    Shape:
        inputs: list of (B, in_channels, h, w) features.
        truth: ``gt_depth_map``, (1, H, W) metres in each sample, 0 where
            nothing was measured.
        returns: (B, 1, h, w) metres from `forward`, at the size of the image
            from `predict`.

    Raises:
        ValueError: an unknown option, missing truth, or truth that is
            negative or not finite.

    Source: DDP, arXiv:2303.17559. Departs from it by default: layers know the
    noise level, and sparse truth is shrunk by its valid returns.
    """

    truth_field = 'gt_depth_map'

    def __init__(self, in_channels: int | Sequence[int], min_depth: float,
                 max_depth: float, *, channels: int = 256, num_layers: int = 6,
                 num_heads: int = 8, num_points: int = 4,
                 feedforward_channels: int | None = None, scale_up: bool = False,
                 scale: float = 0.1, sparse_truth: str = 'fill',
                 sample_range: tuple[float, float] = (0., 0.999),
                 time_difference: float = 1., schedule: str = 'cosine_unclamped',
                 sampler: dict | None = None, self_aligned: bool = False,
                 time_conditioning: bool = True,
                 in_index: int | Sequence[int] = -1,
                 input_transform: str | None = None, align_corners: bool = False,
                 loss_decode: dict | Sequence[dict] = (dict(type='ddp.SigLoss'),),
                 init_cfg: dict | None = None):
        super().__init__(in_channels, channels, num_classes=1, loss_decode=loss_decode,
                         in_index=in_index, input_transform=input_transform,
                         align_corners=align_corners, init_cfg=init_cfg)
        codec = DepthCodec(min_depth, max_depth, scale, sparse_truth)
        self.min_depth, self.max_depth = min_depth, max_depth
        self.build_diffusion(
            codec, DepthPredictor(channels, min_depth, max_depth, scale_up),
            in_channels=self.in_channels, channels=channels, num_layers=num_layers,
            num_heads=num_heads, num_points=num_points,
            feedforward_channels=feedforward_channels, sample_range=sample_range,
            time_difference=time_difference, schedule=schedule, sampler=sampler,
            self_aligned=self_aligned, time_conditioning=time_conditioning,
            time_input='time')

    def pixel_loss(self, loss: nn.Module, prediction: Tensor, truth: Tensor) -> Tensor:
        """Apply one loss to (B, 1, H, W) metres."""
        return loss(prediction, truth)

    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Average depth, and clamp it to the range."""
        return self.sampler.reduce(steps).clamp(self.min_depth, self.max_depth)
