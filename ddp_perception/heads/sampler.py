"""Settings of sampling that every diffusion head shares."""
from dataclasses import dataclass

import torch
from torch import Tensor

from ddp_perception.diffusion import seeded_noise


@dataclass
class Sampler:
    """How a head samples, and which of its decoder passes count.

    Args:
        num_steps: decoder passes per noise map.
        num_seeds: noise maps per image; they run as one batch.
        average: ``'last'`` averages the last steps over the seeds; ``'all'``
            averages every step of every seed, as the published BEV figures do.
        method: ``'ddim'``, or ``'ddpm'`` for the ancestral sampler, which
            adds noise at each step.
        seed: of the noise. Every image starts from the same noise, so the
            figures of an evaluation depend on nothing but this number.

    Raises:
        ValueError: a count below one, or another ``average`` or ``method``.
    """

    num_steps: int = 3
    num_seeds: int = 1
    average: str = 'last'
    seed: int = 0
    method: str = 'ddim'

    def __post_init__(self):
        for name in ('num_steps', 'num_seeds'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got '
                                 f'{getattr(self, name)}')
        if self.average not in ('last', 'all'):
            raise ValueError(f"average must be 'last' or 'all', got {self.average!r}")
        if self.method not in ('ddim', 'ddpm'):
            raise ValueError(f"method must be 'ddim' or 'ddpm', got {self.method!r}")

    @property
    def passes(self) -> dict:
        """Decoder passes that a prediction ran and averages, for the record."""
        averaged = self.num_seeds * (self.num_steps if self.average == 'all' else 1)
        return dict(seeds=self.num_seeds, steps=self.num_steps, averaged=averaged)

    def noise(self, channels: int, size: tuple[int, int],
              device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Draw the noise of every image.

        Returns:
            The (num_seeds, channels, *size) noise to start from, and for
            ``'ddpm'`` that of the steps, (num_steps - 1, num_seeds, channels,
            *size).
        """
        draws = self.num_steps if self.method == 'ddpm' else 1
        noise = seeded_noise(channels, size, self.num_seeds, self.seed, device, draws)
        return noise[0], noise[1:] if self.method == 'ddpm' else None

    def reduce(self, steps: list[Tensor]) -> Tensor:
        """Average (B, S, ...) results of each step over steps and seeds."""
        if self.average == 'last':
            return steps[-1].mean(1)
        return torch.stack(steps).mean((0, 2))
