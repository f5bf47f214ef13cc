"""What the figures of a probe say, in words."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import Any

from ddp_perception.probing.figures import Figure

LEAST_SHARE = 0.001
"""Share of cells below which a change of decisions counts as none."""
LEAST_GAIN = 0.01
"""Share of a figure below which a change of it counts as none."""
CLEAR_GAIN = 0.1
"""Share of a figure from which the truth is clearly made use of."""


@dataclass(frozen=True)
class Measured:
    """What one variation gave.

    Args:
        key, label, group, value: see `Variation`.
        reference: key of the variation that it is compared with.
        metrics: all figures of the evaluator.
        apart: share of cells decided otherwise than by the reference; among
            seeds, the mean over all pairs. NaN without a reference.
        spread: mean standard deviation over the seeds; NaN for the others.
        seconds: of the head, per image.
    """

    key: str
    label: str
    group: str
    value: float
    reference: str | None
    metrics: Mapping[str, float]
    apart: float
    spread: float
    seconds: float


@dataclass(frozen=True)
class ProbeResult:
    """Everything that a probe measured.

    Args:
        figure: the figure that the table and the sentences are about.
        measured: one per variation.
        samples: how many were predicted.
        unit: of the spread: 'probability', or that of the quantity.
        source: what was probed, for the file.
    """

    figure: Figure
    measured: Sequence[Measured]
    samples: int
    unit: str
    source: Mapping[str, Any] = field(default_factory=dict)

    def of(self, key: str) -> Measured:
        """Return one variation."""
        return next(item for item in self.measured if item.key == key)

    def group(self, name: str) -> list[Measured]:
        """Return the variations of a group, in order."""
        return [item for item in self.measured if item.group == name]

    def value(self, item: Measured) -> float:
        """Return a variation's figure."""
        return item.metrics[self.figure.name]

    def gain(self, item: Measured) -> float:
        """Return by which share a variation is better than its reference."""
        if item.reference is None:
            return 0.
        return self.figure.gain(self.value(item), self.value(self.of(item.reference)))

    def content(self) -> dict[str, Any]:
        """Return it as plain values, with gains and sentences.

        What has no value (no reference, no figure) is left to `write_curves`,
        which writes null.
        """
        pure_noise = self.value(self.of('steps_1'))
        return {
            **self.source, 'samples': self.samples, 'metric': asdict(self.figure),
            'unit_of_spread': self.unit, 'sentences': list(sentences(self)),
            'thresholds': {'share_of_cells': LEAST_SHARE, 'gain': LEAST_GAIN,
                           'clear_gain': CLEAR_GAIN},
            'variations': [
                {**asdict(item), 'gain': self.gain(item),
                 'gain_over_one_step': self.figure.gain(self.value(item), pure_noise)}
                for item in self.measured]}


def sentences(result: ProbeResult) -> list[str]:
    """Say whether the noisy map has an influence, and whether steps help.

    - *No influence*: seeds, feedback and truth change less than 0.1 % of the
      decisions, and feedback and truth less than 1 % of the figure.
    - *Guided*: some time's noised truth makes the figure better by at least
      10 % than the noise of that time alone.
    - *Little influence*: anything between.
    - Steps *help* where the best number of them is better than one step by at
      least 1 % of the figure.
    """
    return [_influence(result), _steps(result)]


def _has_no_influence(result: ProbeResult) -> bool:
    compared = [result.of('feedback'), *result.group('truth')]
    shares = [item.apart for item in (result.of('seeds'), *compared)]
    gains = [abs(result.gain(item)) for item in compared]
    return all(share < LEAST_SHARE for share in shares) and all(
        gain < LEAST_GAIN for gain in gains)


def _influence(result: ProbeResult) -> str:
    seeds, feedback = result.of('seeds'), result.of('feedback')
    truths = result.group('truth')
    if any(isnan(result.gain(item)) for item in (feedback, *truths)):
        return (f'Whether the noisy map has an influence cannot be said: '
                f'{result.figure.name} is not a number somewhere.')
    changes = (f'another seed changes {_percent(seeds.apart)} of the decisions, '
               f"another image's map fed back {_percent(feedback.apart)}")
    if _has_no_influence(result):
        if truths:
            least = min(truths, key=lambda item: item.value)
            changes += (f', and the truth, noised to t = {least.value:g}, '
                        f'{_percent(least.apart)}')
        return f'The noisy map has no influence on this model: {changes}.'
    if not truths:
        return ('The noisy map has an influence on this model; whether it helps, the '
                f'truth would tell, which was left out: {changes}.')
    best = max(truths, key=result.gain)
    better = (f'from the noised truth at t = {best.value:g} {result.figure.name} is '
              f'{result.value(best):.4g}, from the noise alone '
              f'{result.value(result.of(str(best.reference))):.4g}')
    if result.gain(best) >= CLEAR_GAIN:
        return f'The noisy map guides this model: {better}; {changes}.'
    return f'The noisy map has little influence on this model: {better}; {changes}.'


def _steps(result: ProbeResult) -> str:
    runs = result.group('steps')
    one = result.of('steps_1')
    known = [run for run in runs if not isnan(result.value(run))]
    if one not in known or len(known) < 2:
        return 'Whether more steps help cannot be said.'
    best = max(known[1:], key=lambda run: result.figure.gain(
        result.value(run), result.value(one)))
    found = (f'{result.figure.name} is {result.value(best):.4g} after '
             f'{best.value:g}, {result.value(one):.4g} after one')
    gain = result.figure.gain(result.value(best), result.value(one))
    if gain < LEAST_GAIN:
        return f'More steps do not help: at best, {found}.'
    means = ', by the time that the decoder is told alone' \
        if _has_no_influence(result) else ''
    return f'More steps help{means}: {found}.'


def _percent(share: float) -> str:
    return f'{100 * share:.3g} %'
