"""Turn noise into a prediction in a few steps.

A sampler knows neither the task nor the network. It is given ``denoise``,
from a noisy map to a prediction, and ``encode``, from a prediction to the
clean map that it stands for.

Source: DDIM, arXiv:2010.02502; sampling times of DDP, arXiv:2303.17559.
"""
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddp_perception.diffusion.schedule import Level, NoiseSchedule, per_item


def sampling_times(num_steps: int, time_difference: float = 1.,
                   lower: float = 0.) -> list[tuple[float, float]]:
    """Times (now, next) of each step, noisiest first.

    Args:
        num_steps: decoder passes per noise map.
        time_difference: how much further than one step the next time lies,
            in steps. Larger values trust the prediction more.
        lower: least time, in [0, 1).

    Raises:
        ValueError: a value outside the ranges above.
    """
    if int(num_steps) != num_steps or num_steps < 1:
        raise ValueError(f'num_steps must be a whole number of at least 1, '
                         f'got {num_steps}')
    if not 0 <= lower < 1:
        raise ValueError(f'lower must lie in [0, 1), got {lower}')
    if time_difference < 0:
        raise ValueError(f'time_difference must not be negative, got {time_difference}')
    return [(1 - step / num_steps * (1 - lower),
             max(1 - (step + 1 + time_difference) / num_steps * (1 - lower), lower))
            for step in range(num_steps)]


def level_pairs(schedule: NoiseSchedule, num_steps: int,
                time_difference: float = 1., lower: float = 0.,
                device: torch.device | str | None = None
                ) -> list[tuple[Level, Level]]:
    """Noise levels (now, next) of each step; see :func:`sampling_times`.

    The levels are computed in float32 on the CPU, so that every device
    denoises at the same levels.
    """
    times = sampling_times(num_steps, time_difference, lower)
    return [tuple(_to(schedule.level(torch.tensor(time)), device) for time in pair)
            for pair in times]


def _to(level: Level, device: torch.device | str | None) -> Level:
    return Level(level.time.to(device), level.log_snr.to(device),
                 level.alpha.to(device), level.sigma.to(device))


@dataclass(frozen=True)
class Step:
    """One decoder pass of a sampler.

    Attributes:
        now: noise level of ``z``.
        z: (B, C, H, W) noisy map that was denoised.
        prediction: what the network made of it.
    """

    now: Level
    z: Tensor
    prediction: Tensor


def ddim_update(z: Tensor, clean: Tensor, now: Level, nxt: Level) -> Tensor:
    """Move a noisy map to the next level along its predicted noise.

    Args:
        z: (B, C, H, W) map at level ``now``.
        clean: predicted clean map, of the same shape.

    Source: DDIM, arXiv:2010.02502, eq. 12 with sigma_t = 0.
    """
    alpha, sigma = per_item(now.alpha, z), per_item(now.sigma, z)
    noise = (z - alpha * clean) / sigma.clamp(min=1e-8)
    return nxt.mix(clean, noise)


def sample_steps(denoise: Callable[[Tensor, Level], Tensor],
                 encode: Callable[[Tensor], Tensor], noise: Tensor,
                 levels: Sequence[tuple[Level, Level]],
                 update: Callable[..., Tensor] = ddim_update) -> Iterator[Step]:
    """Refine noise step by step, and yield every step.

    Args:
        denoise: ``denoise(z, level)`` gives a prediction.
        encode: ``encode(prediction)`` gives a clean map of the shape of ``z``.
        noise: (B, C, H, W) standard normal draw.
        levels: (now, next) pairs, noisiest first.
        update: ``update(z, clean, now, next)`` gives the next noisy map.

    Yields:
        The steps, as many as ``levels`` has. A prediction is encoded only if
        a further step needs it.
    """
    z = noise
    for index, (now, _) in enumerate(levels):
        if index > 0:
            z = update(z, encode(prediction), *levels[index - 1])
        prediction = denoise(z, now)
        yield Step(now, z, prediction)
