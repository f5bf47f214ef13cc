"""What every diffusion head shares, whatever its task and framework."""
from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
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
    EmptyCodec,
    LabelCodec,
    NoiseSchedule,
    Outcome,
    Presences,
    Quantity,
    Refinement,
    Sampler,
    Step,
    StepCount,
    cells_to_refine,
    clock,
    uncertainty,
)
from ddp_perception.heads.temperature import Temperature, calibrated
from ddp_perception.ops import is_compiling


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
        step_count: steps taken since it was last replaced.
        outcome: what a prediction says of a cell; a quantity by default.
        truth_field: field of a data sample that holds the truth.
        prediction_field: field that the prediction is written to.
    """

    diffusion: LabelDiffusion
    calibration: Temperature | None
    sampler: Sampler
    step_count: StepCount
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
        if self.sampler.uncertainty in ('entropy', 'mutual_information') \
                and not self.outcome.has_entropy:
            raise ValueError(f'sampler.uncertainty={self.sampler.uncertainty!r} needs '
                             f"probabilities, which {type(self).__name__}'s "
                             f'{self.prediction_field} are not')
        noised = codec if diffusion.noisy_map else EmptyCodec()
        passes = self.sampler.num_steps * self.sampler.num_seeds
        if not diffusion.noisy_map and passes > 1:
            raise ValueError('diffusion.noisy_map=False has one pass: '
                             'sampler=dict(num_steps=1), got '
                             f'{self.sampler.num_steps} steps and '
                             f'{self.sampler.num_seeds} seeds')
        self.step_count = StepCount()
        map_decoder = MapDecoder(
            decoder.channels, decoder.num_layers, decoder.num_heads, decoder.num_points,
            decoder.feedforward_channels,
            time_channels=4 * decoder.channels
            if decoder.time_conditioning and diffusion.noisy_map else None,
            with_cp=decoder.with_cp)
        self.diffusion = LabelDiffusion(
            noised,
            Denoiser(in_channels, noised.channels, decoder=map_decoder,
                     predictor=predictor, time_input=time_input, resample=resample),
            schedule=NoiseSchedule(diffusion.schedule),
            sample_range=diffusion.sample_range,
            time_difference=diffusion.time_difference,
            training_maps=diffusion.training_maps, colour=diffusion.noise,
            feedback=diffusion.feedback)
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

    @property
    def uncertainty_kind(self) -> str | None:
        """Which uncertainty goes with a prediction, if any."""
        kind = self.sampler.uncertainty
        if kind != 'auto':
            return kind
        if self.outcome.has_entropy:
            return 'entropy'
        return 'spread' if self.passes['seeds'] * self.passes['steps'] > 1 else None

    def training_prediction(self, feats: Tensor, truth: Tensor) -> Tensor:
        """Noise the truth to random times and predict it again."""
        return self.diffusion.training_prediction(feats, truth)

    def refine(self, feats: Tensor, noise: Tensor | None = None,
               step_noise: Tensor | Sequence[Tensor] | None = None,
               start: tuple[Tensor, float] | None = None, *, timed: bool = True
               ) -> Iterator[Refinement]:
        """Sample step by step, and say after each where the prediction stands.

        Stop the loop whenever the prediction is good enough; it ends by
        itself after the sampler's ``num_steps``, once every image is stable
        (``until_stable``), or when the ``time_budget`` is spent. An image
        that has ended costs nothing more, and its prediction is the one that
        it would have in any other batch. The times of the steps are those of
        ``num_steps``, however many are taken.

        Args:
            feats: (B, in_channels, H, W) features.
            noise: initial noise, (S, c, H, W) for all images or (B, S, c, H,
                W); drawn from the sampler's seed unless given.
            step_noise: noise of the DDPM steps, one draw of that shape for each
                step but the last; drawn likewise. The DDIM sampler has none.
            start: a batch of truth-like maps to refine, and the time in (0, 1]
                to which they are noised first; pure noise by default. See
                `LabelDiffusion.sample_steps`.
            timed: wait for a GPU at each step, so that ``seconds`` are true.

        Yields:
            A `Refinement` per step.

        Raises:
            ValueError: noise of another shape, too few draws, or
                ``step_noise`` for the DDIM sampler.
        """
        began = clock(feats, timed)
        noise, step_noise = self.sampler.complete(
            noise, step_noise, self.diffusion.codec.channels,
            (feats.shape[-2], feats.shape[-1]), feats.device)
        # On the CPU, where they are asked for.
        going_on = torch.ones(feats.shape[0], dtype=torch.bool)
        taken = torch.zeros(feats.shape[0], dtype=torch.int64)
        refined = going_on  # images of the present step
        steps: list[Tensor] = []

        def who_goes_on(_: Step) -> Tensor:
            return going_on[refined]

        for step in self.diffusion.sample_steps(
                feats, noise, self.sampler.num_steps, step_noise,
                who_goes_on if self.sampler.stops_early else None, start,
                self._choose_cells if self.sampler.refine_share < 1 else None):
            refined = going_on
            steps.append(_whole(step.prediction, refined, steps))
            taken = taken + refined
            seconds = clock(step.prediction, timed) - began
            state = Refinement(tuple(steps), taken, refined, seconds, self.average,
                               self.outcome)
            going_on = refined & self._unfinished(state)
            yield dataclasses.replace(state, going_on=going_on)

    def _choose_cells(self, prediction: Tensor, before: Tensor | None,
                      size: tuple[int, int]) -> Tensor | None:
        return cells_to_refine(self.sampler.refine_share, prediction, before,
                               self.outcome, size)

    def _unfinished(self, state: Refinement) -> Tensor:
        """Return (B,) bool: which images the sampler's limits let go on."""
        limits = self.sampler
        ended = len(state.steps) == limits.num_steps or (
            limits.time_budget is not None and state.seconds >= limits.time_budget)
        if ended or limits.until_stable is None:
            return torch.full_like(state.going_on, not ended)
        return ~(state.changed.cpu() <= limits.until_stable)  # NaN goes on

    def prediction_steps(self, feats: Tensor, noise: Tensor | None = None,
                         step_noise: Tensor | Sequence[Tensor] | None = None,
                         start: tuple[Tensor, float] | None = None) -> list[Tensor]:
        """Sample, and return what every step predicts.

        Takes the arguments of :meth:`refine`.

        Returns:
            One (B, S, ...) prediction for each of the sampler's steps; the
            last one taken stands for those that were left out.

        Raises:
            ValueError: as :meth:`refine`; a sampler that may stop early while
                the head is compiled or exported.
        """
        if is_compiling():
            return self._steps_of_graph(feats, noise, step_noise, start)
        *_, last = self.refine(feats, noise, step_noise, start,
                               timed=self.sampler.time_budget is not None)
        self.step_count.add(last)
        return [*last.steps,
                *[last.steps[-1]] * (self.sampler.num_steps - len(last.steps))]

    def _steps_of_graph(self, feats: Tensor, noise: Tensor | None,
                        step_noise: Tensor | Sequence[Tensor] | None,
                        start: tuple[Tensor, float] | None) -> list[Tensor]:
        """Do what `prediction_steps` does without looking at any value."""
        self.sampler.require_fixed()
        noise, step_noise = self.sampler.complete(
            noise, step_noise, self.diffusion.codec.channels,
            (feats.shape[-2], feats.shape[-1]), feats.device)
        return [step.prediction.unflatten(0, (feats.shape[0], -1))
                for step in self.diffusion.sample_steps(
                    feats, noise, self.sampler.num_steps, step_noise, start=start)]

    def uncertainty(self, steps: Sequence[Tensor]) -> Tensor | None:
        """Return how uncertain each cell is, as the sampler asks for it.

        Args:
            steps: what :meth:`prediction_steps` returns.

        Returns:
            (B, G, ...) float32, or None; see
            `ddp_perception.diffusion.uncertainty`.
        """
        kind = self.uncertainty_kind
        if kind is None:
            return None
        return uncertainty(kind, steps, self.outcome, self.sampler.average,
                           self._calibrated)

    def average(self, steps: Sequence[Tensor]) -> Tensor:
        """Average over the passes that count: the last step's, or all.

        Args:
            steps: what :meth:`prediction_steps` returns.

        Returns:
            (B, ...), seeds and steps averaged, and calibrated.
        """
        return self._calibrated(
            self.sampler.combine([self.meaning(step) for step in steps]),
            logits=not self.averages_probabilities)

    def _calibrated(self, values: Tensor, logits: bool = False) -> Tensor:
        if self.calibration is None:
            return values
        return calibrated(values, self.calibration.temperature, self.outcome,
                          offsets=self.calibration.offsets, logits=logits)


def _whole(prediction: Tensor, refined: Tensor, steps: Sequence[Tensor]) -> Tensor:
    """Return (B, S, ...) of a step: images that have ended keep their prediction."""
    newest = prediction.unflatten(0, (int(refined.sum()), -1))
    if len(newest) == len(refined):
        return newest
    whole = steps[-1].clone()
    whole[refined] = newest
    return whole
