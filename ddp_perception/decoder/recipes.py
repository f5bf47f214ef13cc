"""Which noisy maps a training iteration sees."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TrainingMaps:
    """Shares of the iterations that train on each kind of noisy map.

    A sampler starts from pure noise and then meets maps that it made itself.
    A head that has seen noised truth alone believes them too much.

    Args:
        truth: the truth, noised to a random time: DDP, arXiv:2303.17559.
        self_aligned: the head's own prediction from pure noise, noised to a
            random time: self-aligned denoising, the same paper's section 3.4.
        noise: pure noise, the first step of every sampling.
        own_steps: the map at a random step of the sampler itself, reached by
            the head's own predictions, without gradients of the way there: the
            states that its own policy visits, as in DAgger, arXiv:1011.0686.

    Raises:
        ValueError: a share beyond 0 to 1, or shares that do not sum to 1.
    """

    truth: float = 1.
    self_aligned: float = 0.
    noise: float = 0.
    own_steps: float = 0.

    def __post_init__(self) -> None:
        for kind, share in self.shares().items():
            if not 0 <= share <= 1:
                raise ValueError(f'{kind} is a share of the iterations, 0 to 1, '
                                 f'got {share!r}')
        total = sum(self.shares().values())
        if abs(total - 1) > 1e-6:
            raise ValueError('the shares of a training recipe must sum to 1, got '
                             f'{total:g} of {self.shares()}')

    def shares(self) -> dict[str, float]:
        """Return the share of each kind."""
        return dataclasses.asdict(self)

    def draw(self, generator: torch.Generator | None, device: torch.device) -> str:
        """Return the kind of one iteration; draws nothing where one has it all."""
        shares = {kind: share for kind, share in self.shares().items() if share}
        if len(shares) == 1:
            return next(iter(shares))
        left = torch.rand((), generator=generator, device=device).item()
        for kind, share in shares.items():
            if left < share:
                return kind
            left -= share
        return kind


RECIPES = {
    'published': TrainingMaps(),
    'on_policy': TrainingMaps(truth=0.35, noise=0.3, own_steps=0.35),
}
"""Named recipes. ``'on_policy'`` goes with a scale near 1."""


def training_maps(recipe: str | Mapping[str, float] | TrainingMaps,
                  self_aligned: float = False) -> TrainingMaps:
    """Return the shares of a recipe.

    Args:
        recipe: a name in `RECIPES`, the shares that are not 0, or the record.
        self_aligned: share of the iterations that are self-aligned rather
            than on noised truth; only with ``'published'``.

    Raises:
        ValueError: another name or share, shares that do not sum to 1, or
            ``self_aligned`` beside another recipe.
    """
    if isinstance(recipe, Mapping):
        known = [field.name for field in dataclasses.fields(TrainingMaps)]
        if unknown := set(recipe) - set(known):
            raise ValueError(f'a recipe has shares of {known}, got {sorted(unknown)}')
        maps = TrainingMaps(**{'truth': 0., **recipe})
    elif isinstance(recipe, TrainingMaps):
        maps = recipe
    elif recipe in RECIPES:
        maps = RECIPES[recipe]
    else:
        raise ValueError(f'recipe must be one of {sorted(RECIPES)}, or shares, got '
                         f'{recipe!r}')
    if not 0 <= self_aligned <= 1:
        raise ValueError('self_aligned is True, False or a share of the iterations, '
                         f'0 to 1, got {self_aligned!r}')
    if not self_aligned:
        return maps
    if maps != RECIPES['published']:
        raise ValueError(f'self_aligned={self_aligned!r} is for the published recipe; '
                         f'say recipe=dict(self_aligned=...) beside the other shares')
    return TrainingMaps(truth=1. - self_aligned, self_aligned=float(self_aligned))
