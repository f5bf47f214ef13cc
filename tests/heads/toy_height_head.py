"""A fourth task: heights in bird's-eye view. The head of CONTRIBUTING.md."""
import torch
import torch.nn.functional as F
from torch import nn

from ddp_perception.diffusion import LabelCodec
from ddp_perception.heads import BEVHead, DiffusionHead
from ddp_perception.registry import MODELS


class HeightCodec(LabelCodec):
    """Metres to a map within +/- scale, and back."""

    channels, scale = 1, 0.1

    def encode(self, labels, size):
        return self.scale * torch.tanh(F.adaptive_avg_pool2d(labels, size) / 2)

    encode_prediction = encode


@MODELS.register_module()
class HeightHead(BEVHead, DiffusionHead):
    """Heights above the ground, metres, on the grid of the features."""

    truth_field, prediction_field = 'gt_height', 'pred_height'

    def __init__(self, in_channels, input_grid, bev_axes='xy', channels=256,
                 decoder=None, diffusion=None, sampler=None):
        super().__init__(in_channels, input_grid, bev_axes=bev_axes)
        self.build_diffusion(in_channels, HeightCodec(), nn.Conv2d(channels, 1, 1),
                             decoder=dict(decoder or {}, channels=channels),
                             diffusion=diffusion, sampler=sampler)

    def objective(self, prediction, truth):
        truth = F.adaptive_avg_pool2d(truth, prediction.shape[-2:])
        return dict(loss_height=F.l1_loss(prediction, truth))
