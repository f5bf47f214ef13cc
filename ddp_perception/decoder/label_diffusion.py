"""Diffusion of label maps: one training pass, and sampling, for any task."""
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ddp_perception.decoder.denoiser import Condition, Denoiser
from ddp_perception.decoder.map_decoder import DecoderMemory
from ddp_perception.decoder.recipes import TrainingMaps
from ddp_perception.diffusion import (
    COLOURS,
    LabelCodec,
    NoiseLevel,
    NoiseSchedule,
    Step,
    add_noise,
    ancestral,
    ddim_update,
    process_generator,
    sample_steps,
    sampling_levels,
)
from ddp_perception.ops import is_exporting

FEEDBACKS = ('decided', 'expected')
"""Clean maps that a prediction may stand for."""
_LONGEST_SAMPLING = 5
"""Steps of the longest sampling whose states training visits."""
_LONGEST_ROLLOUT = 10
"""Steps of the longest sampling that a rollout takes some steps of."""


@contextmanager
def _without_graph() -> Iterator[None]:
    """Compute without gradients, in the midst of a training pass."""
    with torch.no_grad():
        yield
    # Autocast remembers its casts of the weights. Those made without a graph
    # would serve the next pass too, and leave the weights without a gradient
    # (pytorch#112583; mended in the releases of late 2025).
    torch.clear_autocast_cache()


CellChoice = Callable[[Tensor, Tensor | None, tuple[int, int]], Tensor | None]
"""From the last two predictions to the cells of the next step; see `sample_steps`."""


class _PartialPasses:
    """A denoiser that computes some of the cells anew after its first pass."""

    def __init__(self, denoiser: Denoiser, choose: CellChoice) -> None:
        self.denoiser, self.choose = denoiser, choose
        self.memory = DecoderMemory()
        self.predictions: list[Tensor] = []  # the last two

    def __call__(self, z: Tensor, level: NoiseLevel, condition: Condition) -> Tensor:
        """Predict; takes and returns what the denoiser does."""
        cells = None
        if self.predictions:
            height, width = condition.fused.shape[-2:]
            before = self.predictions[-2] if len(self.predictions) > 1 else None
            cells = self.choose(self.predictions[-1], before, (height, width))
        prediction = self.denoiser(z, level, condition, self.memory, cells)
        self.predictions = [*self.predictions[-1:], prediction]
        return prediction

    def keep(self, maps: Tensor) -> None:
        """Forget all but some of the maps."""
        self.memory = self.memory.of(maps)
        self.predictions = [prediction[maps] for prediction in self.predictions]


class LabelDiffusion(nn.Module):
    """Codec, denoiser and schedule together: all of a head but its loss.

    Args:
        codec: encodes truth and predictions.
        denoiser: predicts from noisy maps and features.
        schedule: noise levels.
        sample_range: least and greatest time; training draws times from it,
            sampling ends at its least.
        time_difference: see `sampling_times`.
        training_maps: which noisy maps training sees; noised truth by default.
        colour: ``'white'`` or ``'pink'``: what becomes of noise before it is
            used, drawn here or given.
        feedback: ``'decided'`` or ``'expected'``: which clean map a prediction
            stands for, see `LabelCodec`.

    Source: DDP, arXiv:2303.17559, algorithms 1 and 2. Departs from it: any
    batch size and number of seeds, and recipes of its own.
    """

    def __init__(self, codec: LabelCodec, denoiser: Denoiser, *,
                 schedule: NoiseSchedule | None = None,
                 sample_range: tuple[float, float] = (0., 0.999),
                 time_difference: float = 1.,
                 training_maps: TrainingMaps | None = None,
                 colour: str = 'white', feedback: str = 'decided') -> None:
        super().__init__()
        low, high = sample_range
        if not 0 <= low < high <= 1:
            raise ValueError('sample_range must be 0 <= low < high <= 1, '
                             f'got {tuple(sample_range)}')
        if colour not in COLOURS:
            raise ValueError(f'colour must be one of {sorted(COLOURS)}, got {colour!r}')
        if feedback not in FEEDBACKS:
            raise ValueError(f'feedback must be one of {FEEDBACKS}, got {feedback!r}')
        self.codec = codec
        self.denoiser = denoiser
        self.schedule = schedule or NoiseSchedule()
        self.sample_range = (low, high)
        self.time_difference = time_difference
        self.training_maps = training_maps or TrainingMaps()
        self.colour = colour
        self.expects = feedback == 'expected'

    def feedback(self, prediction: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the clean map (B, c, *size) that goes back into the sampler."""
        encode = self.codec.encode_expected if self.expects \
            else self.codec.encode_prediction
        return encode(prediction, size)

    def training_prediction(self, feats: Tensor, labels: Tensor, *,
                            times: Tensor | None = None,
                            noise: Tensor | None = None,
                            generator: torch.Generator | None = None) -> Tensor:
        """Noise the labels to random times, and predict them again.

        Args:
            feats: (B, C, H, W) features.
            labels: batch of true labels, as the codec takes them.
            times: (B,) in [0, 1]; drawn uniformly from ``sample_range`` unless
                given.
            noise: (B D, codec.channels, H, W), the D draws of an image one after
                another, see `TrainingMaps`; drawn unless given.
            generator: random generator on the device of ``feats``; by default
                the global one or, in several processes, one that makes them
                differ (`process_generator`).

        Returns:
            (B P D, ...) predictions, those of an image one after another, pass
            by pass; the published recipe has P = 1 pass and D = 1 draw, see
            `TrainingMaps`.
        """
        size = feats.shape[-2], feats.shape[-1]
        batch, draws = feats.shape[0], self.training_maps.draws
        generator = generator or process_generator(feats.device)
        draw: dict[str, Any] = dict(device=feats.device, dtype=torch.float32,
                                    generator=generator)
        if times is None:
            low, high = self.sample_range
            times = low + (high - low) * torch.rand(batch, **draw)
        if noise is None:
            noise = torch.randn(batch * draws, self.codec.channels, *size, **draw)
        noise = self.coloured(noise)
        labels = _per_draw(labels, draws)
        times = _per_draw(times, draws)
        condition = self.denoiser.condition(feats)
        kinds = self.training_maps.draw(generator, feats.device)
        seen = [self._noisy_map(kind, labels, times, noise, condition, generator)
                for kind in kinds]
        predicted = self._predicted(seen, draws, condition)
        if not self.training_maps.rollout:
            return predicted
        steps = self._rolled_out(feats, condition, noise, generator)
        return torch.stack([
            *predicted.unflatten(0, (-1, len(seen), draws)).unbind(1),
            *(step.unflatten(0, (-1, draws)) for step in steps)], 1).flatten(0, 2)

    def _predicted(self, seen: Sequence[tuple[Tensor, Tensor]], draws: int,
                   condition: Condition) -> Tensor:
        """Return (B P D, ...) predictions of P noisy maps and their times."""
        maps, times = zip(*seen, strict=True)
        level = self.schedule.level(_of_images(times, draws).float())
        return self.denoiser(_of_images(maps, draws), level, condition)

    def _rollout_levels(self, generator: torch.Generator | None, device: torch.device
                        ) -> list[tuple[NoiseLevel, NoiseLevel]]:
        """Draw steps of a sampling: the first, and later ones that are jumped to."""
        taken = self.training_maps.rollout
        steps = int(torch.randint(taken, _LONGEST_ROLLOUT + 1, (), generator=generator,
                                  device=device))
        levels = sampling_levels(self.schedule, steps, self.time_difference,
                                 self.sample_range[0], device)
        order = torch.randperm(steps - 1, generator=generator, device=device)
        chosen = [0, *sorted((order[:taken - 1] + 1).tolist())]
        # What a step denoises has the level to which the step before it went.
        return [(levels[one][0], levels[other - 1][1])
                for one, other in zip(chosen, [*chosen[1:], steps], strict=True)]

    def _rolled_out(self, feats: Tensor, condition: Condition, noise: Tensor,
                    generator: torch.Generator | None) -> list[Tensor]:
        """Take steps of a sampling, with gradients through the maps between them.

        Returns:
            The (B D, ...) prediction of each step.
        """
        size = noise.shape[-2], noise.shape[-1]
        levels = self._rollout_levels(generator, feats.device)
        z, steps = noise, []
        for number, (now, nxt) in enumerate(levels, 1):
            given, last = condition, number == len(levels)
            if self.training_maps.dropout and not last:
                given = self.denoiser.condition(
                    _without_channels(feats, self.training_maps.dropout, generator))
            steps.append(self.denoiser(z, now, given))
            if not last:
                z = ddim_update(z, self.feedback(steps[-1], size), now, nxt)
        return steps

    def _noisy_map(self, kind: str, labels: Tensor, times: Tensor, noise: Tensor,
                   condition: Condition, generator: torch.Generator | None
                   ) -> tuple[Tensor, Tensor]:
        """Return the (B D, c, H, W) maps of a kind and their (B D,) times."""
        size = noise.shape[-2], noise.shape[-1]
        if kind == 'own_steps':
            return self._own_step(condition, noise, size, generator)
        if kind == 'noise':
            times = torch.ones_like(times)
        clean = self._self_aligned(condition, noise, size) \
            if kind == 'self_aligned' else self.codec.encode(labels, size)
        return add_noise(clean, noise, self.schedule.level(times.float())), times

    def _self_aligned(self, condition: Condition, noise: Tensor,
                      size: tuple[int, int]) -> Tensor:
        pure_noise = self.schedule.level(torch.ones((), device=noise.device))
        with _without_graph():
            prediction = self.denoiser(noise, pure_noise, condition)
        # Outside: the vectors that stand for the prediction keep learning.
        return self.feedback(prediction, size)

    def _own_step(self, condition: Condition, noise: Tensor, size: tuple[int, int],
                  generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return the noisy maps of a random step but the first, and their times."""
        def draw(low: int, high: int) -> int:
            return int(torch.randint(low, high, (), generator=generator,
                                     device=noise.device))
        num_steps = draw(2, _LONGEST_SAMPLING + 1)
        levels = sampling_levels(self.schedule, num_steps, self.time_difference,
                                 self.sample_range[0], noise.device)
        step = draw(1, num_steps)
        z = noise
        for now, nxt in levels[:step]:
            with _without_graph():
                prediction = self.denoiser(z.detach(), now, condition)
            # Outside, as above, for the last of them.
            z = ddim_update(z.detach(), self.feedback(prediction, size), now, nxt)
        return z, levels[step][0].time.expand(len(z))

    def sample_steps(self, feats: Tensor, noise: Tensor, num_steps: int,
                     step_noise: Tensor | Sequence[Tensor] | None = None,
                     going_on: Callable[[Step], Tensor] | None = None,
                     start: tuple[Tensor, float] | None = None,
                     choose: CellChoice | None = None) -> Iterator[Step]:
        """Denoise, and yield every step.

        Args:
            feats: (B, C, H, W) features.
            noise: (S, c, H, W) for the same S draws for every image, or
                (B, S, c, H, W) for draws of their own.
            num_steps: decoder passes.
            step_noise: draws of the shape of ``noise``, one for each step but
                the last, which make the sampler ancestral (DDPM); DDIM
                without.
            going_on: asked after each step but the last one: bool on the CPU,
                one for each image of the step, whether it is refined further.
            start: batch of labels that are refined, an older map say, and the
                time to which they are noised first, above the least one and
                at most 1. Without, sampling starts from pure noise.
            choose: asked before each step but the first, with the last prediction,
                the one before it or None, and the size (h, w) of the decoder's map:
                the (B S, K) cells that are computed anew, or None for all. See
                `cells_to_refine`.

        Yields:
            Steps whose ``z`` and ``prediction`` have a first dimension of
            B S: the draws of an image one after another. Once images have
            ended, those of the images that go on.

        Raises:
            ValueError: noise of another shape, too few draws, or a start at no
                such time.
        """
        update = ddim_update
        left: slice | Tensor = slice(None)  # maps that are still refined
        if step_noise is not None:
            if len(step_noise) < num_steps - 1:
                raise ValueError(f'{num_steps} steps need {num_steps - 1} draws of '
                                 f'step_noise, got {len(step_noise)}')
            draws = [self._per_map(draw, feats) for draw in step_noise]
            update = ancestral(draw[left] for draw in draws)  # one at a time
        size = feats.shape[-2], feats.shape[-1]
        condition = self.denoiser.condition(feats)
        z = self._per_map(noise, feats)
        labels, upper = start or (None, 1.)
        levels = sampling_levels(self.schedule, num_steps, self.time_difference,
                                 self.sample_range[0], feats.device, upper)
        if labels is not None:
            clean = self.codec.encode(labels, size)
            z = add_noise(clean.repeat_interleave(len(z) // len(clean), 0), z,
                          levels[0][0])

        passes = None if choose is None else _PartialPasses(self.denoiser, choose)

        def denoise(z: Tensor, level: NoiseLevel) -> Tensor:
            run = self.denoiser if passes is None else passes
            return run(z, level, condition)

        def keep(images: Tensor) -> Tensor:
            nonlocal condition, left
            condition = condition.of(images)
            maps = images.repeat_interleave(len(z) // len(feats))
            left = torch.arange(len(z))[left][maps]
            if passes is not None:
                passes.keep(maps)
            return maps
        yield from sample_steps(
            denoise,
            lambda prediction: self.feedback(prediction, size),
            z, levels, update, going_on and (lambda step: keep(going_on(step))))

    def coloured(self, white: Tensor) -> Tensor:
        """Return what becomes of white noise, (..., H, W)."""
        return COLOURS[self.colour](white)

    def _per_map(self, noise: Tensor, feats: Tensor) -> Tensor:
        """Colour noise, and bring it into the shape (B S, c, H, W)."""
        batch, size = feats.shape[0], tuple(feats.shape[-2:])
        noise = self.coloured(noise)
        if noise.dim() == 4:
            noise = noise[None].expand(batch, *noise.shape)
        expected = (batch, noise.shape[1], self.codec.channels, *size)
        if tuple(noise.shape) != expected:
            raise ValueError('noise must have the shape '
                             f'(seeds, {self.codec.channels}, '
                             f'{size[0]}, {size[1]}), or that for each of {batch} '
                             f'images, got {tuple(noise.shape)}')
        noise = noise.flatten(0, 1)
        if noise.device.type != 'cpu' or is_exporting():
            return noise
        # As the decoder reads it, and as vectors of classes are looked up.
        return noise.contiguous(memory_format=torch.channels_last)


def _without_channels(feats: Tensor, share: float, generator: torch.Generator | None
                      ) -> Tensor:
    """Set a share of the channels of each image to 0, and scale the others up."""
    drawn = torch.rand(*feats.shape[:2], 1, 1, device=feats.device, generator=generator)
    return feats * ((drawn >= share).to(feats.dtype) / (1 - share))


def _per_draw(values: Tensor, draws: int) -> Tensor:
    """Repeat what each image has, (B, ...), for its draws: (B D, ...)."""
    return values if draws == 1 else values.repeat_interleave(draws, 0)


def _of_images(passes: Sequence[Tensor], draws: int) -> Tensor:
    """Bring P passes of (B D, ...) together image by image, pass by pass: (B P D, ...).
    """
    return torch.stack([one.unflatten(0, (-1, draws)) for one in passes], 1
                       ).flatten(0, 2)
