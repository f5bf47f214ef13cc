"""From a noisy map and image or BEV features to a prediction."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ddp_perception.decoder.map_decoder import DecoderMemory, MapDecoder
from ddp_perception.decoder.time_embedding import TimeEmbedding
from ddp_perception.diffusion import NoiseLevel
from ddp_perception.ops import pointwise_conv


@dataclass(frozen=True)
class Condition:
    """What the features contribute to every decoder pass of an image.

    Attributes:
        fused: (B, channels, h, w) condition half of the fusing convolution,
            at the size at which the decoder works.
        position_terms: see `MapDecoder.position_terms`, one tensor per layer.
    """

    fused: Tensor
    position_terms: list[Tensor]

    def of(self, images: Tensor) -> Condition:
        """Return that of some of the images: indices, or a (B,) bool mask."""
        return Condition(self.fused[images], self.position_terms)


class Denoiser(nn.Module):
    """Predict the meaning of a noisy map, given features.

    Features and noisy map are concatenated and fused by a 1x1 convolution,
    refined by the map decoder at the map's noise level, and turned into a
    prediction by the last layer. The half of the convolution that works on
    the features is computed once per image, not once per step and seed.

    Args:
        feat_channels: channels of the features.
        latent_channels: channels of the noisy map; 0 decodes features alone.
        decoder: the map decoder; its ``time_channels`` says whether the
            denoiser depends on the time.
        predictor: last layer, from (N, channels, h, w) to a prediction.
        time_input: what is embedded, ``'log_snr'`` or ``'time'``.
        resample: linear map applied to the fused map before the decoder, for
            a decoder that works on another grid than the features.

    Raises:
        ValueError: another ``time_input``.

    Source: DDP, arXiv:2303.17559, section 3.2.
    """

    def __init__(self, feat_channels: int, latent_channels: int, *, decoder: MapDecoder,
                 predictor: nn.Module, time_input: str = 'log_snr',
                 resample: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        if time_input not in ('log_snr', 'time'):
            raise ValueError("time_input must be 'log_snr' or 'time', "
                             f'got {time_input!r}')
        self.feat_channels = feat_channels
        self.fuse = nn.Conv2d(feat_channels + latent_channels, decoder.channels, 1)
        self.time_embedding = TimeEmbedding(decoder.time_channels) \
            if decoder.time_channels else None
        self.decoder = decoder
        self.predictor = predictor
        self.time_input = time_input
        self.resample = resample

    def condition(self, feats: Tensor) -> Condition:
        """Do the part of the work that no step or seed changes.

        Args:
            feats: (B, feat_channels, H, W).

        Raises:
            ValueError: another number of channels.
        """
        if feats.dim() != 4 or feats.shape[1] != self.feat_channels:
            raise ValueError(f'features must have the shape (B, {self.feat_channels}, '
                             f'H, W), got {tuple(feats.shape)}')
        fused = self._to_decoder_grid(pointwise_conv(
            feats, self.fuse.weight[:, :self.feat_channels], self.fuse.bias))
        size = fused.shape[-2], fused.shape[-1]
        terms = self.decoder.position_terms(size, fused.device)
        return Condition(fused, terms)

    def forward(self, z: Tensor, level: NoiseLevel, condition: Condition,
                memory: DecoderMemory | None = None,
                cells: Tensor | None = None) -> Tensor:
        """Predict from noisy maps.

        Args:
            z: (B S, latent_channels, H, W): S maps per image, those of an
                image one after another.
            level: noise level, one for all or one per map.
            condition: result of :meth:`condition` for B images.
            memory, cells: of a pass over some of the cells; see `MapDecoder`.

        Returns:
            (B S, ...) predictions.
        """
        images = condition.fused.shape[0]
        if z.shape[1]:
            noisy = self._to_decoder_grid(pointwise_conv(
                z, self.fuse.weight[:, self.feat_channels:]))
            fused, others = noisy.unflatten(0, (images, -1)), condition.fused[:, None]
            # Fresh memory for a map costs more than the sum.
            fused = fused + others if torch.is_grad_enabled() \
                or fused.dtype != others.dtype else fused.add_(others)
            fused = fused.flatten(0, 1)
        else:
            fused = condition.fused.repeat_interleave(z.shape[0] // images, 0)
        embedding = None
        if self.time_embedding is not None:
            value = level.log_snr if self.time_input == 'log_snr' else level.time
            embedding = self.time_embedding(value.reshape(-1).to(z.device))
        return self.predictor(self.decoder(
            fused, embedding, condition.position_terms, memory, cells,
            overwrite=z.shape[1] > 0))

    def _to_decoder_grid(self, maps: Tensor) -> Tensor:
        return maps if self.resample is None else self.resample(maps)
