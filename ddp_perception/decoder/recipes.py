"""Which noisy maps a training iteration sees."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

KINDS = ('truth', 'self_aligned', 'noise', 'own_steps')
"""Kinds of noisy maps."""
_NUMBERS = ('draws', 'rollout', 'dropout')


@dataclass(frozen=True)
class TrainingMaps:
    """Shares of the iterations that train on each kind of noisy map.

    A sampler starts from pure noise and then meets maps that it made itself.
    A head that has seen noised truth alone believes them too much. Shares that
    sum to 1 draw one kind for each iteration; those that sum to 2 or 3, as
    many different kinds, decoded from the same features.

    Args:
        truth: the truth, noised to a random time: DDP, arXiv:2303.17559.
        self_aligned: the head's own prediction from pure noise, noised to a
            random time: self-aligned denoising, the same paper's section 3.4.
        noise: pure noise, the first step of every sampling.
        own_steps: the map at a random step of the sampler itself, reached by
            the head's own predictions, without gradients of the way there: the
            states that its own policy visits, as in DAgger, arXiv:1011.0686.
        draws: noises of each image, each with passes of its own; a loss that
            compares predictions of an image needs several, see `EnergyScore`.
        rollout: so many steps of a sampling of up to ten, from pure noise on, in
            every iteration beside the kinds. Gradients go through the maps between
            them where the feedback is the expected map (`LabelDiffusion`), so that
            a step learns to leave a map that the next one can use: recurrent
            refinement, as in RAFT, arXiv:2003.12039.
        dropout: share of the channels of the features that the passes of a rollout
            do without, but for the last one. On the data of its training an encoder
            leads to better maps than it will on others; these are as wrong as those,
            and the last pass learns not to trust them too far.

    Raises:
        ValueError: a share beyond 0 to 1, shares that do not sum to a whole
            number of at least 1, or fewer than one draw.
    """

    truth: float = 1.
    self_aligned: float = 0.
    noise: float = 0.
    own_steps: float = 0.
    draws: int = 1
    rollout: int = 0
    dropout: float = 0.

    def __post_init__(self) -> None:
        for kind, share in self.shares().items():
            if not 0 <= share <= 1:
                raise ValueError(f'{kind} is a share of the iterations, 0 to 1, '
                                 f'got {share!r}')
        total = sum(self.shares().values())
        if self.passes < 1 or abs(total - self.passes) > 1e-6:
            raise ValueError('the shares of a training recipe must sum to 1, or to '
                             f'the passes of an iteration, got {total:g} of '
                             f'{self.shares()}')
        if isinstance(self.draws, bool) or not isinstance(self.draws, int) \
                or self.draws < 1:
            raise ValueError('draws is a whole number of at least 1, got '
                             f'{self.draws!r}')
        if isinstance(self.rollout, bool) or not isinstance(self.rollout, int) \
                or self.rollout < 0 or self.rollout == 1:
            raise ValueError('rollout is a whole number of steps, at least 2, or 0 for '
                             f'none, got {self.rollout!r}')
        if not 0 <= self.dropout < 1:
            raise ValueError('dropout is a share of the channels, 0 to below 1, got '
                             f'{self.dropout!r}')
        if self.dropout and not self.rollout:
            raise ValueError('dropout is of the passes of a rollout, got '
                             f'{self.dropout!r} without one')

    @property
    def passes(self) -> int:
        """Noisy maps per image, draw and iteration, but for those of a rollout."""
        return round(sum(self.shares().values()))

    def shares(self) -> dict[str, float]:
        """Return the share of each kind."""
        return {kind: getattr(self, kind) for kind in KINDS}

    def draw(self, generator: torch.Generator | None, device: torch.device
             ) -> list[str]:
        """Return the kinds of one iteration, as many as it has passes.

        They are drawn by systematic sampling: each kind is there with the
        probability of its share, and no kind twice. Draws nothing where every
        iteration has the same kinds.
        """
        shares = {kind: share for kind, share in self.shares().items() if share}
        if len(shares) == self.passes:
            return list(shares)
        offset = torch.rand((), generator=generator, device=device).item()
        kinds: list[str] = []
        reached = 0.
        for kind, share in shares.items():
            reached += share
            if len(kinds) < self.passes and offset + len(kinds) < reached:
                kinds.append(kind)
        return kinds if len(kinds) == self.passes else [*kinds, kind]


RECIPES = {
    'published': TrainingMaps(),
    'on_policy': TrainingMaps(truth=0.35, noise=0.3, own_steps=0.35),
    'unrolled': TrainingMaps(truth=1., noise=1., own_steps=1.),
    'rollout': TrainingMaps(truth=1., rollout=3),
    'samples': TrainingMaps(truth=0., noise=0.5, own_steps=0.5, draws=2),
}
"""Named recipes. All but the published one go with a scale near 1, ``'rollout'`` with
``feedback='expected'``, and ``'samples'`` with the loss `EnergyScore`."""


def training_maps(recipe: str | Mapping[str, float] | TrainingMaps,
                  self_aligned: float = False) -> TrainingMaps:
    """Return the shares of a recipe.

    Args:
        recipe: a name in `RECIPES`, the shares that are not 0, or the record.
        self_aligned: share of the iterations that are self-aligned rather
            than on noised truth; only with ``'published'``.

    Raises:
        ValueError: another name or share, shares of a wrong sum, or
            ``self_aligned`` beside another recipe.
    """
    if isinstance(recipe, Mapping):
        if unknown := set(recipe) - {*KINDS, *_NUMBERS}:
            raise ValueError(f'a recipe has shares of {list(KINDS)}, and '
                             f'{", ".join(_NUMBERS)}, got {sorted(unknown)}')
        maps = TrainingMaps(**cast(Any, {'truth': 0., **recipe}))
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
