"""A fourth task: heights in bird's-eye view. The head of CONTRIBUTING.md."""
import torch
import torch.nn.functional as F
from torch import nn

from ddp_perception.decoder import DecoderOptions, DiffusionOptions, record_of
from ddp_perception.diffusion import LabelCodec
from ddp_perception.heads import BEVHead, DiffusionHead
from ddp_perception.registry import MODELS


class HeightCodec(LabelCodec):
    """Metres to a map within +/- scale."""

    channels = 1

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def encode(self, labels, size):
        return self.scale * torch.tanh(F.adaptive_avg_pool2d(labels, size) / 2)

    encode_prediction = encode


@MODELS.register_module()
class HeightHead(BEVHead, DiffusionHead):
    """Heights above the ground, metres, on the grid of the features."""

    truth_field, prediction_field = 'gt_height', 'pred_height'

    def __init__(self, in_channels, input_grid, bev_axes='xy', decoder=None,
                 diffusion=None, sampler=None):
        super().__init__(in_channels, input_grid, bev_axes=bev_axes)
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion)
        self.build_diffusion(
            in_channels, HeightCodec(diffusion.scale),
            nn.Conv2d(decoder.channels, 1, 1), decoder=decoder, diffusion=diffusion,
            sampler=sampler)

    def objective(self, prediction, truth):
        truth = F.adaptive_avg_pool2d(truth, prediction.shape[-2:])
        return dict(loss_height=F.l1_loss(prediction, truth))
