"""How uncertain a prediction is, from the passes that made it."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddp_perception.diffusion.outcomes import Outcome

OF_SEVERAL_PASSES = ('mutual_information', 'disagreement', 'changes', 'spread')
UNCERTAINTIES = ('entropy', *OF_SEVERAL_PASSES)
"""What `uncertainty` computes."""


def uncertainty(kind: str, steps: Sequence[Tensor], outcome: Outcome,
                average: str = 'last') -> Tensor:
    """Return an uncertainty for each cell, greater where less is known.

    Passes are compared over the seeds of the last step or, where there is one
    seed, over its steps; with ``average='all'`` over every pass.

    Args:
        kind: ``'entropy'``: entropy of the mean probabilities of the passes
            that the prediction averages, in nats.
            ``'mutual_information'``: that entropy, of the compared passes,
            less the mean entropy of each: the part on which they do not
            agree, in nats.
            ``'disagreement'``: share of the pairs of passes that decide a
            cell differently, 0 to 1.
            ``'changes'``: how often a step decided the cell otherwise than
            the step before, mean over the seeds, 0 to steps - 1.
            ``'spread'``: standard deviation over the compared passes, in
            probability or in the unit of the quantity.
        steps: one (B, S, C, H, W) prediction per step.
        outcome: what a prediction says of a cell.
        average: ``'last'`` or ``'all'``, as in `Sampler`.

    Returns:
        (B, G, H, W) float32, G groups of classes; see `Outcome`.

    Raises:
        ValueError: another kind, or one that needs probabilities where the
            outcome has none.

    Source: changes over the steps are DDP's, arXiv:2303.17559, section 4;
    mutual information arXiv:1112.5745 (BALD).
    """
    if kind == 'changes':
        values = [outcome.values(step.float()) for step in steps]
        changes = [outcome.differs(before, after).float().mean(1)
                   for before, after in zip(values, values[1:])]
        return torch.stack(changes).sum(0) if changes else torch.zeros_like(
            outcome.differs(values[0], values[0]).float().mean(1))
    if kind == 'entropy':
        return outcome.entropy(_counted(steps, outcome, average).mean(1))
    passes = _counted(steps, outcome, average)
    if passes.shape[1] == 1:
        passes = _counted(steps, outcome, 'all')
    if kind == 'mutual_information':
        difference = outcome.entropy(passes.mean(1)) - outcome.entropy(passes).mean(1)
        return difference.clamp(min=0)  # rounding
    if kind == 'disagreement':
        return _disagreement(passes, outcome)
    if kind == 'spread':
        return outcome.spread(passes, 1)
    raise ValueError(f'uncertainty must be one of {UNCERTAINTIES}, got {kind!r}')


def _counted(steps: Sequence[Tensor], outcome: Outcome, average: str) -> Tensor:
    """Return the (B, passes, C, H, W) values of the passes that count."""
    counted = steps[-1:] if average == 'last' else steps
    return outcome.values(torch.cat([step.float() for step in counted], 1))


def _disagreement(passes: Tensor, outcome: Outcome) -> Tensor:
    count = passes.shape[1]
    differ = [outcome.differs(passes[:, first], passes[:, second])
              for first in range(count) for second in range(first)]
    if not differ:
        return torch.zeros_like(outcome.differs(passes[:, 0], passes[:, 0]).float())
    return torch.stack(differ).float().mean(0)
