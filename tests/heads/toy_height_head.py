"""A fourth task, as a user would add it: BEV occupancy height, in metres."""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ddp_perception.diffusion import LabelCodec
from ddp_perception.heads import DiffusionHead
from ddp_perception.registry import MODELS


class HeightCodec(LabelCodec):
    """Heights (B, 1, H, W) in metres to +/- scale: z0 = scale tanh(height / 2)."""

    channels, scale = 1, 0.1

    def encode(self, labels: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode true heights, averaged in each cell."""
        return self.scale * torch.tanh(F.adaptive_avg_pool2d(labels, size) / 2)

    def encode_prediction(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode predicted heights."""
        return self.encode(prediction, size)


@MODELS.register_module()
class ToyHeightHead(DiffusionHead, BaseModule):
    """Denoise a map of heights, conditioned on (B, in_channels, H, W) features."""

    def __init__(self, in_channels: int, channels: int = 256, num_layers: int = 6,
                 sampler: dict | None = None, self_aligned: bool = False,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.build_diffusion(
            HeightCodec(), nn.Conv2d(channels, 1, 1), in_channels=in_channels,
            channels=channels, num_layers=num_layers, sampler=sampler,
            self_aligned=self_aligned)

    def loss(self, feats: Tensor, heights: Tensor) -> dict[str, Tensor]:
        """L1 loss of a batch."""
        prediction = self.diffusion.training_prediction(feats, heights)
        prediction = F.interpolate(prediction, heights.shape[-2:], mode='bilinear')
        return dict(loss_height=F.l1_loss(prediction, heights))

    def forward(self, feats: Tensor) -> Tensor:
        """Sample (B, 1, H, W) heights."""
        return self.sampler.reduce(self.prediction_steps(feats))
