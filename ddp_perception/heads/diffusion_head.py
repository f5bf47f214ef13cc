"""What every diffusion head shares, whatever its task and framework."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ddp_perception.decoder import (
    DecoderOptions,
    Denoiser,
    DiffusionOptions,
    LabelDiffusion,
    MapDecoder,
    record_of,
)
from ddp_perception.diffusion import (
    LabelCodec,
    NoiseSchedule,
    Outcome,
    Presences,
    Quantity,
    Sampler,
)
from ddp_perception.heads.temperature import Temperature, calibrated


class DiffusionHead:
    """A head as one declared object: codec, predictor, objective, fields.

    A mixin: a head names this class after the base that speaks a framework's
    language (`BEVHead`, `DenseHead` or any `torch.nn.Module`), calls
    :meth:`build_diffusion` with its codec and its last layer, and states

    - :meth:`objective`, its losses;
    - :meth:`meaning`, what of a prediction is averaged over seeds and steps,
      where that is not the prediction itself;
    - ``outcome``, what a prediction says of a cell: classes, overlapping
      classes or a quantity;
    - ``truth_field`` and ``prediction_field``, the fields of a data sample
      that it reads and writes. The registered `Field` of that name knows how
      it is packed, drawn and saved.

    Sampling, noise, self-aligned training and the count of passes are
    here, and ask for nothing that depends on the task.

    Attributes:
        diffusion: codec, denoiser and noise schedule.
        calibration: temperature of the averaged prediction; None for a
            quantity.
        sampler: how predictions are sampled.
        outcome: what a prediction says of a cell; a quantity by default.
        truth_field: field of a data sample that holds the truth.
        prediction_field: field that the prediction is written to.
    """

    diffusion: LabelDiffusion
    calibration: Temperature | None
    sampler: Sampler
    outcome: Outcome = Quantity(unit='')
    truth_field: str
    prediction_field: str

    def build_diffusion(self, in_channels: int, codec: LabelCodec, predictor: nn.Module,
                        *, decoder: DecoderOptions | Mapping[str, Any] | None = None,
                        diffusion: DiffusionOptions | Mapping[str, Any] | None = None,
                        sampler: Sampler | Mapping[str, Any] | None = None,
                        time_input: str = 'log_snr',
                        resample: Callable[[Tensor], Tensor] | None = None) -> None:
        """Build the diffusion around a codec and a last layer.

        Args:
            in_channels: number of input channels.
            codec: from label maps to continuous maps, and from predictions.
            predictor: from (N, decoder.channels, h, w) to a prediction.
            decoder: options of the map decoder.
            diffusion: options of noising.
            sampler: options of sampling.
            time_input, resample: see :class:`Denoiser`.

        Raises:
            TypeError: an unknown option.
            ValueError: an option out of range.
        """
        decoder = record_of(DecoderOptions, decoder)
        diffusion = record_of(DiffusionOptions, diffusion)
        self.sampler = record_of(Sampler, sampler)
        map_decoder = MapDecoder(
            decoder.channels, decoder.num_layers, decoder.num_heads, decoder.num_points,
            decoder.feedforward_channels,
            time_channels=4 * decoder.channels if decoder.time_conditioning else None)
        self.diffusion = LabelDiffusion(
            codec,
            Denoiser(in_channels, codec.channels, decoder=map_decoder,
                     predictor=predictor, time_input=time_input, resample=resample),
            schedule=NoiseSchedule(diffusion.schedule),
            sample_range=diffusion.sample_range,
            time_difference=diffusion.time_difference,
            self_aligned=diffusion.self_aligned)
        self.calibration = Temperature.of(self.outcome, codec)

    @abstractmethod
    def objective(self, prediction: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Return the losses of a prediction, and what else is to be logged."""

    def meaning(self, prediction: Tensor) -> Tensor:
        """Turn (B, seeds, ...) predictions into what is averaged over seeds."""
        return prediction

    @property
    def averages_probabilities(self) -> bool:
        """Whether :meth:`meaning` gives probabilities, rather than logits.

        By default it does for overlapping classes alone.
        """
        return isinstance(self.outcome, Presences)

    @property
    def temperature(self) -> Tensor | None:
        """Temperature of each group, (G, ); None for a quantity."""
        return None if self.calibration is None else self.calibration.temperature

    @property
    def passes(self) -> dict[str, int]:
        """Seeds and steps of a prediction, and how many passes it averages."""
        return self.sampler.passes

    def training_prediction(self, feats: Tensor, truth: Tensor) -> Tensor:
        """Noise the truth to random times and predict it again."""
        return self.diffusion.training_prediction(feats, truth)

    def prediction_steps(self, feats: Tensor, noise: Tensor | None = None,
                         step_noise: Tensor | Sequence[Tensor] | None = None
                         ) -> list[Tensor]:
        """Sample, and return what every step predicts.

        Args:
            feats: (B, in_channels, H, W) features.
            noise: initial noise, (S, c, H, W) for all images or (B, S, c, H,
                W); drawn from the sampler's seed unless given.
            step_noise: noise of the DDPM steps, one draw of that shape for each
                step but the last; drawn likewise. The DDIM sampler has none.

        Returns:
            One (B, S, ...) prediction per step.

        Raises:
            ValueError: noise of another shape, too few draws, or
                ``step_noise`` for the DDIM sampler.
        """
        noise, step_noise = self.sampler.complete(
            noise, step_noise, self.diffusion.codec.channels,
            (feats.shape[-2], feats.shape[-1]), feats.device)
        return [step.prediction.unflatten(0, (feats.shape[0], -1))
                for step in self.diffusion.sample_steps(
                    feats, noise, self.sampler.num_steps, step_noise)]

    def average(self, steps: Sequence[Tensor]) -> Tensor:
        """Average over the passes that count: the last step's, or all.

        Args:
            steps: what :meth:`prediction_steps` returns.

        Returns:
            (B, ...), seeds and steps averaged, and calibrated by the temperature.
        """
        return calibrated(
            self.sampler.combine([self.meaning(step) for step in steps]),
            self.temperature, self.outcome, logits=not self.averages_probabilities)
