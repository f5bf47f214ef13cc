"""Which of an evaluator's figures counts, and whether more of it is better."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import copysign, inf
from typing import Any

from mmengine.hooks import CheckpointHook

HEADLINES = {'map/mean/iou@max': 'greater', 'mIoU': 'greater', 'abs_rel': 'less'}
"""The figures by which the metrics of this package's configurations are known."""


@dataclass(frozen=True)
class Figure:
    """A figure of an evaluator.

    Args:
        name: as the evaluator calls it.
        rule: ``'greater'`` or ``'less'``: which values are better.
    """

    name: str
    rule: str

    def gain(self, value: float, reference: float) -> float:
        """Return by which share of the reference a value is better than it.

        Negative where it is worse; infinite where the reference is 0 and the
        value is not; NaN where one of them is.
        """
        difference = value - reference if self.rule == 'greater' else reference - value
        if difference == 0 or difference != difference:
            return difference
        return difference / abs(reference) if reference else copysign(inf, difference)


def first_choice(figures: Mapping[str, float], save_best: str | None = None) -> str:
    """Return the figure that a table is about unless the user says which.

    Args:
        figures: what the evaluator returns.
        save_best: what the configuration's checkpoint hook looks at.

    Returns:
        That figure, or one of `HEADLINES`, or else the first.

    Raises:
        ValueError: there is none.
    """
    if not figures:
        raise ValueError('the evaluator returns no figure')
    wanted = [*([save_best] if save_best else []), *HEADLINES]
    return next((name for name in wanted if name in figures), next(iter(figures)))


def rule_of(name: str, hook: Mapping[str, Any] | None = None) -> str:
    """Return whether more or less of a figure is better.

    Args:
        name: of the figure.
        hook: settings of the configuration's checkpoint hook. Its ``rule``
            counts where its ``save_best`` is this figure.

    Returns:
        ``'greater'`` or ``'less'``: the hook's rule, that of `HEADLINES`, or
        what mmengine's `CheckpointHook` makes of the name.

    Raises:
        ValueError: none of them knows.
    """
    hook = hook or {}
    if hook.get('save_best') == name and hook.get('rule'):
        return str(hook['rule'])
    if name in HEADLINES:
        return HEADLINES[name]
    return str(CheckpointHook(save_best=name).rules[0])
