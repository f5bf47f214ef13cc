"""Turn noise into a prediction in a few steps.

A sampler knows neither the task nor the network. It is given ``denoise``,
from a noisy map to a prediction, and ``encode``, from a prediction to the
clean map that it stands for.

Source: DDIM, arXiv:2010.02502; DDPM, arXiv:2006.11239, in the log-SNR form of
arXiv:2107.00630; sampling times of DDP, arXiv:2303.17559.
"""
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddp_perception.diffusion.schedule import NoiseLevel, NoiseSchedule, per_item


def sampling_times(num_steps: int, time_difference: float = 1., lower: float = 0.,
                   upper: float = 1.) -> list[tuple[float, float]]:
    """Times (now, next) of each step, noisiest first.

    Args:
        num_steps: decoder passes per noise map.
        time_difference: how much further than one step the next time lies,
            in steps. Larger values trust the prediction more.
        lower: least time, in [0, 1).
        upper: time of the first step, above ``lower``; 1 is pure noise.

    Raises:
        ValueError: a value outside the ranges above.
    """
    if int(num_steps) != num_steps or num_steps < 1:
        raise ValueError(f'num_steps must be a whole number of at least 1, '
                         f'got {num_steps}')
    if not 0 <= lower < 1:
        raise ValueError(f'lower must lie in [0, 1), got {lower}')
    if not lower < upper <= 1:
        raise ValueError(f'upper must lie in ({lower}, 1], got {upper}')
    if time_difference < 0:
        raise ValueError(f'time_difference must not be negative, got {time_difference}')
    span = upper - lower
    return [(upper - step / num_steps * span,
             max(upper - (step + 1 + time_difference) / num_steps * span, lower))
            for step in range(num_steps)]


def sampling_levels(schedule: NoiseSchedule, num_steps: int,
                    time_difference: float = 1., lower: float = 0.,
                    device: torch.device | str | None = None, upper: float = 1.
                    ) -> list[tuple[NoiseLevel, NoiseLevel]]:
    """Noise levels (now, next) of each step; see :func:`sampling_times`.

    The levels are computed in float32 on the CPU, so that every device
    denoises at the same levels.
    """
    times = sampling_times(num_steps, time_difference, lower, upper)

    def level(time: float) -> NoiseLevel:
        return _to(schedule.level(torch.tensor(time)), device)
    return [(level(now), level(nxt)) for now, nxt in times]


def _to(level: NoiseLevel, device: torch.device | str | None) -> NoiseLevel:
    return NoiseLevel(level.time.to(device), level.log_snr.to(device),
                      level.alpha.to(device), level.sigma.to(device))


@dataclass(frozen=True)
class Step:
    """One decoder pass of a sampler.

    Attributes:
        now: noise level of ``z``.
        z: (B, C, H, W) noisy map that was denoised.
        prediction: what the network made of it.
    """

    now: NoiseLevel
    z: Tensor
    prediction: Tensor


def ddim_update(z: Tensor, clean: Tensor, now: NoiseLevel, nxt: NoiseLevel) -> Tensor:
    """Move a noisy map to the next level along its predicted noise.

    With the predicted noise ``(z - alpha clean) / sigma`` the next map is
    ``alpha_next clean + sigma_next noise``: a sum of two terms, without the noise.

    Args:
        z: (B, C, H, W) map at level ``now``.
        clean: predicted clean map, of the same shape.

    Source: DDIM, arXiv:2010.02502, eq. 12 with sigma_t = 0.
    """
    kept = nxt.sigma / now.sigma.clamp(min=1e-8)
    renewed = nxt.alpha - kept * now.alpha
    return (z * per_item(kept, z)).addcmul_(clean, per_item(renewed, z))


def ddpm_update(z: Tensor, clean: Tensor, now: NoiseLevel, nxt: NoiseLevel,
                noise: Tensor) -> Tensor:
    """Draw the next noisy map of the ancestral sampler.

    With ``c = 1 - snr(now) / snr(next)`` the mean is
    ``alpha_next (z (1 - c) / alpha + c clean)`` and the variance
    ``sigma_next^2 c``: the distribution of the map at level ``next``, given
    the one at ``now`` and the clean one. At time 0 the mean itself is taken.

    Args:
        z: (B, C, H, W) map at level ``now``.
        clean: predicted clean map, of the same shape.
        noise: standard normal draw, of the same shape.

    Source: DDPM, arXiv:2006.11239; arXiv:2107.00630, eq. 32 and 33.
    """
    decay = now.log_snr - nxt.log_snr
    renewed = per_item(-torch.expm1(decay), z)
    kept = 1 - renewed  # as published; its rounding at t = 1 shows in the result
    alpha, alpha_next = per_item(now.alpha, z), per_item(nxt.alpha, z)
    mean = alpha_next * (z * kept / alpha + renewed * clean)
    deviation = per_item(nxt.sigma, z) * renewed.clamp(min=0).sqrt()
    return mean + deviation * per_item((nxt.time > 0).to(z.dtype), z) * noise


def ancestral(step_noise: Iterable[Tensor]) -> Callable[..., Tensor]:
    """Make an ``update`` for :func:`sample_steps` of DDPM and its draws.

    Args:
        step_noise: one (B, C, H, W) draw per update, in order: one less than
            the steps.
    """
    draws = iter(step_noise)
    return lambda z, clean, now, nxt: ddpm_update(z, clean, now, nxt, next(draws))


def sample_steps(denoise: Callable[[Tensor, NoiseLevel], Tensor],
                 encode: Callable[[Tensor], Tensor], noise: Tensor,
                 levels: Sequence[tuple[NoiseLevel, NoiseLevel]],
                 update: Callable[..., Tensor] = ddim_update,
                 going_on: Callable[[Step], Tensor] | None = None) -> Iterator[Step]:
    """Refine noise step by step, and yield every step.

    Args:
        denoise: ``denoise(z, level)`` gives a prediction.
        encode: ``encode(prediction)`` gives a clean map of the shape of ``z``.
        noise: (B, C, H, W) standard normal draw.
        levels: (now, next) pairs, noisiest first.
        update: ``update(z, clean, now, next)`` gives the next noisy map:
            :func:`ddim_update`, or what :func:`ancestral` makes.
        going_on: asked after each step but the last one: (B,) bool on the CPU,
            the maps that are refined further. The next steps hold these alone.

    Yields:
        The steps, as many as ``levels`` has, or fewer where no map goes on. A
        prediction is encoded only if a further step needs it.
    """
    z = noise
    for index, (now, nxt) in enumerate(levels, 1):
        prediction = denoise(z, now)
        step = Step(now, z, prediction)
        yield step
        if index == len(levels):
            return
        if going_on is not None:
            kept = going_on(step)
            if not kept.any():
                return
            z, prediction = z[kept], prediction[kept]
        z = update(z, encode(prediction), now, nxt)
