"""Continuous-time noise schedules, parametrised by the log-SNR.

Time t runs over [0, 1] and t = 1 is pure noise:
``z_t = alpha(t) z_0 + sigma(t) noise`` with ``alpha^2 = sigmoid(log_snr)`` and
``sigma^2 = sigmoid(-log_snr)``, so that ``alpha^2 + sigma^2 = 1``.

Source: Variational Diffusion Models, arXiv:2107.00630 (log-SNR view);
Improved DDPM, arXiv:2102.09672 (cosine); constants of DDP, arXiv:2303.17559.
"""
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseLevel:
    """How noisy a map is.

    Attributes:
        time: () or (B,) float, in [0, 1].
        log_snr: natural logarithm of (alpha / sigma)^2, of the same shape.
        alpha: factor of the clean map, of the same shape.
        sigma: noise factor, same shape as ``alpha``, always above zero.
    """

    time: Tensor
    log_snr: Tensor
    alpha: Tensor
    sigma: Tensor

    def mix(self, clean: Tensor, noise: Tensor) -> Tensor:
        """Return ``alpha clean + sigma noise`` for maps of shape (B, C, H, W)."""
        return per_item(self.alpha, clean) * clean + per_item(self.sigma, noise) * noise


def per_item(factor: Tensor, maps: Tensor) -> Tensor:
    """Shape a () or (B,) factor so that it multiplies (B, C, H, W) maps."""
    return factor.reshape(-1, *[1] * (maps.dim() - 1)).to(maps.device)


def cosine_log_snr(time: Tensor) -> Tensor:
    """Log-SNR of the cosine schedule, at most 11.51, -18.91 at t = 1.

    The order of operations is part of the schedule: near t = 1 the cosine
    cancels, and float32 in another order gives another log-SNR.
    """
    cosine = torch.cos((time + 0.0002) / (1 + 0.00025) * math.pi * 0.5)
    return -torch.log((cosine ** -2 - 1).clamp(min=1e-5))


def linear_log_snr(time: Tensor) -> Tensor:
    """Log-SNR of the linear-beta schedule, 9.21 at t = 0, -10.0 at t = 1."""
    return -torch.log(torch.special.expm1(1e-4 + 10 * time ** 2))


def unclamped_cosine_log_snr(time: Tensor) -> Tensor:
    """Log-SNR of the cosine schedule without its ceiling, 16 at t = 0.

    DDP's depth models use ``gamma = alpha^2 = cos^2`` in this form; it differs
    from ``cosine`` for t < 0.002 only. Near t = 0 float32 rounds gamma, which
    gives 15.94 there (float64: 16.13) and is part of the schedule again.
    """
    gamma = torch.cos((time + 0.0002) / (1 + 0.00025) * math.pi * 0.5) ** 2
    return torch.log(gamma) - torch.log1p(-gamma)


_LOG_SNR = {'cosine': cosine_log_snr, 'linear': linear_log_snr,
            'cosine_unclamped': unclamped_cosine_log_snr}


class NoiseSchedule:
    """Map times to noise levels.

    Args:
        name: ``'cosine'``, ``'linear'`` or ``'cosine_unclamped'``.

    Raises:
        ValueError: another name.
    """

    def __init__(self, name: str = 'cosine') -> None:
        if name not in _LOG_SNR:
            raise ValueError(
                f'noise schedule must be one of {sorted(_LOG_SNR)}, got {name!r}')
        self.name = name
        self._log_snr = _LOG_SNR[name]

    def log_snr(self, time: Tensor) -> Tensor:
        """Log-SNR of times of any shape, computed in their own precision."""
        return self._log_snr(time)

    def level(self, time: Tensor | float) -> NoiseLevel:
        """Noise level of one time, or of one time per item of a batch (B,)."""
        time = torch.as_tensor(time, dtype=torch.get_default_dtype()) \
            if not isinstance(time, Tensor) else time
        log_snr = self.log_snr(time)
        return NoiseLevel(time, log_snr, log_snr.sigmoid().sqrt(),
                          (-log_snr).sigmoid().sqrt())

    def __repr__(self) -> str:
        return f'NoiseSchedule({self.name!r})'


def add_noise(clean: Tensor, noise: Tensor, level: NoiseLevel) -> Tensor:
    """Noise clean maps (B, C, H, W) to a level of shape () or (B,).

    Raises:
        ValueError: the shapes of ``clean`` and ``noise`` differ.
    """
    if clean.shape != noise.shape:
        raise ValueError('noise must have the shape of the clean map '
                         f'{tuple(clean.shape)}, got {tuple(noise.shape)}')
    return level.mix(clean, noise)
