"""The ways in which a probe lets a head predict."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from math import fsum, nan
from typing import Any

import torch
from torch import Tensor

from ddp_perception.decoder.probing import denoise_once, feedback_through, replaced
from ddp_perception.diffusion import Outcome, Sampler, clock
from ddp_perception.diffusion.codecs import nearest_shrink
from ddp_perception.diffusion.uncertainty import OF_SEVERAL_PASSES

STEPS = tuple(range(1, 11))
TIMES = (0.9, 0.7, 0.5, 0.3, 0.1, 0.02)


@dataclass(frozen=True)
class ProbeOptions:
    """What a probe varies.

    Args:
        steps: numbers of steps. "n steps" is what a user gets who sets
            ``num_steps=n``: a run whose times are spread over n steps, read
            after its last one. (After n steps of a longer run it would be at
            other times.) One step and the head's own number, at least two,
            are always added.
        times: times to which the truth is noised, in [0, 1].
        num_seeds: noise maps that are compared with each other.
        oracle: whether to predict from the noised truth at all.

    Raises:
        ValueError: a number out of range, or none.
    """

    steps: Sequence[int] = STEPS
    times: Sequence[float] = TIMES
    num_seeds: int = 4
    oracle: bool = True

    def __post_init__(self) -> None:
        if not self.steps or min(self.steps) < 1:
            raise ValueError('steps must be numbers of at least 1, got '
                             f'{list(self.steps)}')
        if not self.times or not all(0 <= time <= 1 for time in self.times):
            raise ValueError(f'times must lie in [0, 1], got {list(self.times)}')
        if self.num_seeds < 2:
            raise ValueError('num_seeds must be at least 2, for they are compared, '
                             f'got {self.num_seeds}')


class Tally:
    """Mean over all cells of all images, whatever the batches were."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._cells = 0

    def add(self, values: Tensor) -> None:
        """Count (B, ...) values, one row per image."""
        rows = values.flatten(1).double()
        self._sums += rows.sum(1).tolist()
        self._cells += rows.numel()

    @property
    def mean(self) -> float:
        """NaN where nothing was counted."""
        return fsum(self._sums) / self._cells if self._cells else nan


@dataclass(frozen=True)
class Call:
    """One call of a head within a batch: the only one, or one per window.

    Attributes:
        index: which call of the batch it is.
        truth: one tensor of labels per image, for the area of the features;
            None where it is not known.
    """

    index: int
    truth: Sequence[Tensor] | None = None


class Variation(ABC):
    """One way to let a head predict, and how far it is from another.

    Args:
        key: its name in files.
        label: what it is, in a table.
        group: what is varied: ``'steps'``, ``'zeros'``, ``'feedback'``,
            ``'seeds'``, ``'truth'`` or ``'no_truth'``.
        value: number of steps or seeds, or time.
        sampler: in the place of the head's own.
        reference: the variation that it is compared with. It predicts first.

    Attributes:
        apart: share of cells that it decides otherwise than its reference,
            noise map by noise map, over the cells of the head's own map.
        spread: standard deviation over the seeds, or empty.
        seconds: spent in the head so far.
        images: how many were predicted in them.
    """

    def __init__(self, key: str, label: str, group: str, value: float,
                 sampler: Sampler, reference: Variation | None = None) -> None:
        self.key, self.label, self.group, self.value = key, label, group, value
        self.sampler, self.reference = sampler, reference
        self.apart, self.spread = Tally(), Tally()
        self.seconds, self.images = 0., 0
        self._values: dict[int, Tensor] = {}

    @abstractmethod
    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Return one (B, S, ...) prediction per step.

        Args:
            head: a `DiffusionHead`; its sampler is this variation's.
            sample: the head's own ``prediction_steps``.
            feats: (B, C, H, W) features.
            call: which call of the batch it is.
        """

    def compare(self, outcome: Outcome, values: Tensor, call: Call) -> None:
        """Count what differs from the reference; values are (B, S, ...)."""
        if self.reference is not None:
            self.apart.add(outcome.differs(values, self.reference._values[call.index]))

    def start_batch(self) -> None:
        """Forget what the comparison of the last batch needed."""
        self._values.clear()

    @contextmanager
    def applied(self, head: Any, call_of: Callable[[], Call]) -> Iterator[None]:
        """Let a head predict in this way meanwhile.

        Args:
            head: a `DiffusionHead`.
            call_of: says at each call of the head which one it is.
        """
        sample = head.prediction_steps

        def prediction_steps(feats: Tensor) -> list[Tensor]:
            call = call_of()
            start = clock(feats)
            steps = self.predict(head, sample, feats, call)
            self.seconds += clock(steps[-1]) - start
            self.images += len(feats) * (call.index == 0)
            values = head.outcome.values(steps[-1].float())
            self.compare(head.outcome, values, call)
            self._values[call.index] = values
            return steps
        with ExitStack() as stack:
            stack.enter_context(replaced(head, 'sampler', self.sampler))
            stack.enter_context(replaced(head, 'prediction_steps', prediction_steps))
            yield


class Steps(Variation):
    """An ordinary run; notes what is fed back."""

    def start_batch(self) -> None:
        """See the base; the last image's maps stay as the next one's neighbour's."""
        super().start_batch()
        self.fed: dict[int, list[Tensor]] = {}

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Sample as the head does."""
        fed = self.fed[call.index] = []

        def note(clean: Tensor, _: int) -> Tensor:
            fed.append(clean.unflatten(0, (len(feats), -1)))
            return clean
        with feedback_through(head.diffusion, note):
            return sample(feats)


class Zeros(Variation):
    """Zeros in the place of the noise that a run starts from."""

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Sample from zeros."""
        return sample(feats, torch.zeros_like(_noise(head, feats)))


class Feedback(Variation):
    """What the image before made of itself is fed back in place of the own map.

    It is taken from the same step of that image's ordinary run, and of the
    same window where there are several. The very first image has none before
    it; it gets its own map, turned by half a turn.
    """

    reference: Steps

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._before: dict[tuple[int, int], Tensor] = {}

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Sample with the other image's maps."""
        own = self.reference.fed[call.index]

        def other(_: Tensor, index: int) -> Tensor:
            maps = own[index]
            before = self._before.get((call.index, index))
            first = maps[:1].flip(-2, -1) if before is None \
                else nearest_shrink(before, (maps.shape[-2], maps.shape[-1]))
            self._before[call.index, index] = maps[-1:]
            return torch.cat([first, maps[:-1]]).flatten(0, 1)
        with feedback_through(head.diffusion, other):
            return sample(feats)


class Seeds(Variation):
    """Several noise maps, averaged and compared with each other."""

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Sample every seed."""
        return sample(feats)

    def compare(self, outcome: Outcome, values: Tensor, call: Call) -> None:
        """Count what each two seeds decide differently."""
        for one, other in combinations(range(values.shape[1]), 2):
            self.apart.add(outcome.differs(values[:, one], values[:, other]))
        self.spread.add(outcome.spread(values, 1))


class NoTruth(Variation):
    """One pass that is told a time, on the noise of that time alone."""

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Denoise an empty map."""
        noise = _noise(head, feats)
        empty = noise.new_zeros(len(feats), *noise.shape[1:])
        return [denoise_once(head.diffusion, feats, empty, noise, self.value)]


class Truth(Variation):
    """One pass on the truth, noised to a time."""

    def predict(self, head: Any, sample: Callable[..., list[Tensor]], feats: Tensor,
                call: Call) -> list[Tensor]:
        """Denoise the truth."""
        assert call.truth is not None
        noise = _noise(head, feats)
        clean = torch.cat([
            head.diffusion.codec.encode(labels[None].to(feats.device),
                                        tuple(feats.shape[-2:]))
            for labels in call.truth])
        return [denoise_once(head.diffusion, feats, clean, noise, self.value)]


def _noise(head: Any, feats: Tensor) -> Tensor:
    return head.sampler.noise(head.diffusion.codec.channels, tuple(feats.shape[-2:]),
                              feats.device)[0]


def variations(own: Sampler, options: ProbeOptions | None = None) -> list[Variation]:
    """Return what a probe runs, each after its reference.

    Args:
        own: the head's sampler. All of it stays but the number of steps, a
            time budget, an early end and the initial noise, which is whole
            noise or none; so does its uncertainty where there are the passes
            that it compares.
        options: what is varied.
    """
    options = options or ProbeOptions()
    usual = max(own.num_steps, 2)

    def sampler(steps: int, seeds: int | None = None) -> Sampler:
        kind, count = own.uncertainty, seeds or own.num_seeds
        if kind in OF_SEVERAL_PASSES and steps == count == 1:
            kind = 'auto'
        return replace(own, num_steps=steps, num_seeds=count, time_budget=None,
                       until_stable=None, uncertainty=kind, initial_noise=1.)

    def named(steps: int) -> str:
        mark = " (the head's own)" if steps == own.num_steps else ''
        return f'{steps} step{"s" * (steps > 1)}{mark}'
    runs: dict[int, Steps] = {}
    for steps in sorted({1, usual, *map(int, options.steps)}):
        runs[steps] = Steps(f'steps_{steps}', named(steps), 'steps', steps,
                            sampler(steps), runs.get(1))
    run, text = runs[usual], f'{usual} steps'
    found: list[Variation] = [
        *runs.values(),
        Zeros('zeros', f'{text}, zeros for noise', 'zeros', usual, sampler(usual), run),
        Feedback('feedback', f"{text}, another image's map fed back", 'feedback', usual,
                 sampler(usual), run),
        Seeds('seeds', f'{text}, {options.num_seeds} seeds', 'seeds', options.num_seeds,
              sampler(usual, options.num_seeds), run)]
    for time in sorted(set(options.times), reverse=True) if options.oracle else []:
        empty = NoTruth(f'no_truth_{time:g}', f't = {time:g}, noise alone', 'no_truth',
                        time, sampler(1), runs[1])
        found += [empty, Truth(f'truth_{time:g}', f't = {time:g}, noised truth',
                               'truth', time, sampler(1), empty)]
    return found
