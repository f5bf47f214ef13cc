"""How predictions are sampled: the options that every diffusion head shares."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral

import torch
from torch import Tensor

from ddp_perception.diffusion.noise import seeded_noise
from ddp_perception.diffusion.uncertainty import OF_SEVERAL_PASSES, UNCERTAINTIES


@dataclass
class Sampler:
    """How a head samples, and which of its decoder passes count.

    Args:
        num_steps: decoder passes per noise map.
        num_seeds: noise maps per image; they run as one batch.
        average: ``'last'`` averages the last steps over the seeds; ``'all'``
            averages every step of every seed, as the published BEV results do.
        method: ``'ddim'``, or ``'ddpm'`` for the ancestral sampler, which
            adds noise at each step.
        seed: noise seed. Every image starts from the same noise, so the
            metrics of an evaluation depend on nothing but this number.
        initial_noise: standard deviation of the noise that sampling starts
            from. 0 starts from its mean: without DDPM's noise there is then
            one prediction, whatever the seed.
        until_stable: an image takes no further step once a step has changed
            at most this share of its cells, 0 to 1; ``num_steps`` is then the
            most. Its prediction stands for the steps that it leaves out.
        time_budget: seconds after which a batch, or a window of it, starts no
            further step. Figures then depend on the machine.
        refine_share: share of the decoder's cells, above 0 and at most 1, that the
            steps after the first compute anew: those that the step before changed
            and the least certain ones. The others keep what they had. The time of
            a step falls almost as its share, accuracy hardly; 1 computes all.
        uncertainty: what is written beside each prediction, one of
            `UNCERTAINTIES`. ``'auto'`` is the entropy or, for a quantity, the
            spread where there is more than one pass. None writes nothing.

    Raises:
        ValueError: a count below one, another ``average``, ``method`` or
            ``uncertainty``, or one that needs more than one pass.
    """

    num_steps: int = 3
    num_seeds: int = 1
    average: str = 'last'
    seed: int = 0
    method: str = 'ddim'
    initial_noise: float = 1.
    until_stable: float | None = None
    time_budget: float | None = None
    refine_share: float = 1.
    uncertainty: str | None = 'auto'
    _kept: tuple | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (('num_steps', 1), ('num_seeds', 1), ('seed', 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f'{name} must be a whole number of at least {least}, '
                                 f'got {value!r}')
        if self.average not in ('last', 'all'):
            raise ValueError(f"average must be 'last' or 'all', got {self.average!r}")
        if self.method not in ('ddim', 'ddpm'):
            raise ValueError(f"method must be 'ddim' or 'ddpm', got {self.method!r}")
        if not self.initial_noise >= 0:
            raise ValueError('initial_noise must not be negative, got '
                             f'{self.initial_noise}')
        if self.initial_noise == 0 and self.num_seeds > 1 and self.method == 'ddim':
            raise ValueError(f'initial_noise=0 has one prediction, got num_seeds='
                             f'{self.num_seeds}')
        if self.until_stable is not None and not 0 <= self.until_stable <= 1:
            raise ValueError('until_stable is a share of the cells, 0 to 1, got '
                             f'{self.until_stable}')
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError('time_budget must be more than 0 seconds, got '
                             f'{self.time_budget}')
        if not 0 < self.refine_share <= 1:
            raise ValueError('refine_share must be above 0 and at most 1, got '
                             f'{self.refine_share}')
        if self.uncertainty not in (None, 'auto', *UNCERTAINTIES):
            raise ValueError("uncertainty must be 'auto', None or one of "
                             f'{UNCERTAINTIES}, got {self.uncertainty!r}')
        if self.uncertainty in OF_SEVERAL_PASSES and self.num_steps == 1 \
                and self.num_seeds == 1:
            raise ValueError(f'uncertainty={self.uncertainty!r} compares passes; with '
                             'num_steps=1 and num_seeds=1 there is one')

    @property
    def stops_early(self) -> bool:
        """Whether images may take fewer steps than ``num_steps``."""
        return self.until_stable is not None or self.time_budget is not None

    def require_fixed(self) -> None:
        """Raise unless every pass computes every cell, as a graph has to.

        Raises:
            ValueError: names what must be otherwise.
        """
        if self.stops_early or self.refine_share < 1:
            raise ValueError('a graph computes every step of every cell: until_stable '
                             'and time_budget must be None and refine_share 1')

    @property
    def passes(self) -> dict:
        """Decoder passes that a prediction ran and averages."""
        averaged = self.num_seeds * (self.num_steps if self.average == 'all' else 1)
        return dict(seeds=self.num_seeds, steps=self.num_steps, averaged=averaged)

    def noise(self, channels: int, size: tuple[int, int],
              device: torch.device | str) -> tuple[Tensor, Tensor | None]:
        """Return the noise of every image, drawn once and kept.

        Returns:
            The (num_seeds, channels, *size) noise to start from, and for
            ``'ddpm'`` that of the steps, (num_steps - 1, num_seeds, channels,
            *size). To be read only.
        """
        draws = self.num_steps if self.method == 'ddpm' else 1
        key = (channels, tuple(size), str(device), self.num_seeds, self.seed, draws,
               self.initial_noise)
        if self._kept is None or self._kept[0] != key:
            with torch.inference_mode(False):  # training may use it later
                noise = seeded_noise(channels, size, self.num_seeds, self.seed, device,
                                     draws)
                noise[0] *= self.initial_noise
                self._kept = key, noise
        noise = self._kept[1]
        return noise[0], noise[1:] if self.method == 'ddpm' else None

    def complete(self, noise: Tensor | None,
                 step_noise: Tensor | Sequence[Tensor] | None, channels: int,
                 size: tuple[int, int], device: torch.device | str
                 ) -> tuple[Tensor, Tensor | Sequence[Tensor] | None]:
        """Draw the noise that the caller did not give.

        Args:
            noise: (S, channels, *size) or (B, S, channels, *size), or None.
            step_noise: for DDPM, one draw of the shape of ``noise`` for every
                step but the last, or None.

        Returns:
            Both, ``step_noise`` None for DDIM.

        Raises:
            ValueError: ``step_noise`` is given for DDIM, which adds none.
        """
        if step_noise is not None and self.method == 'ddim':
            raise ValueError("step_noise goes with the sampler's method='ddpm'; "
                             "'ddim' adds no noise at its steps")
        if noise is None:
            start, drawn = self.noise(channels, size, device)
            return start, drawn if step_noise is None else step_noise
        if self.method == 'ddpm' and step_noise is None:
            seeds = noise.shape[-4]
            step_noise = seeded_noise(channels, size, seeds, self.seed, device,
                                      self.num_steps)[1:]
        return noise, step_noise

    def __getstate__(self) -> dict:
        """Leave the noise out of copies and files: it can be drawn again."""
        return {**vars(self), '_kept': None}

    def combine(self, steps: Sequence[Tensor]) -> Tensor:
        """Average the (B, S, ...) predictions of each step over steps and seeds.

        The last of them stands for those that are left out of ``num_steps``.
        """
        if self.average == 'last':
            return steps[-1].mean(1)
        left_out = self.num_steps - len(steps)
        return torch.stack([*steps, *[steps[-1]] * left_out]).mean((0, 2))
