"""Noise: what its seed is, and what else it may depend on."""
from collections.abc import Callable

import torch
from torch import Tensor, distributed


def seeded_noise(channels: int, size: tuple[int, int], num_seeds: int = 1,
                 seed: int = 0, device: torch.device | str | None = None,
                 num_draws: int | None = None) -> Tensor:
    """Draw the noise that every image of an evaluation is started from.

    The draw is made on the CPU and does not depend on the image, the batch,
    the worker or the device, so metrics do not either.

    Args:
        channels: channels of the noisy map.
        size: its height and width.
        num_seeds: noise maps per image.
        seed: generator seed, at least 0.
        num_draws: draws in a row, for samplers that add noise at each step.

    Returns:
        (num_seeds, channels, H, W) float32, standard normal, or with
        ``num_draws`` that many in (num_draws, num_seeds, channels, H, W). The
        first ones are the same whatever both numbers are.
    """
    if num_seeds < 1:
        raise ValueError(f'num_seeds must be at least 1, got {num_seeds}')
    generators = [torch.Generator().manual_seed(seed + index)
                  for index in range(num_seeds)]
    draws = torch.stack([
        torch.stack([torch.randn(channels, *size, generator=generator)
                     for generator in generators])
        for _ in range(1 if num_draws is None else num_draws)])
    return (draws[0] if num_draws is None else draws).to(device)


def pink_noise(white: Tensor) -> Tensor:
    """Give white noise the spectrum in which every octave is equally strong.

    White noise hides single cells: what is wide, such as the place of a road,
    shows through it long after the details are gone. Pink noise hides wide and
    narrow things alike, so different draws lead to different layouts.

    Args:
        white: (..., H, W) standard normal draws.

    Returns:
        The same shape: amplitudes divided by the spatial frequency, periodic,
        of unit variance in every cell. The mean has the amplitude of the
        lowest frequency.

    Source: 1/f noise; that noise of several resolutions suits diffusion of
    whole scenes: Marigold, arXiv:2312.02145, section 3.3.
    """
    height, width = white.shape[-2:]
    rows = torch.fft.fftfreq(height, device=white.device)
    columns = torch.fft.rfftfreq(width, device=white.device)
    frequency = torch.hypot(rows[:, None], columns).clamp(
        min=1 / max(height, width))
    # Columns but the first and, of an even width, the last stand for two.
    twice = torch.full((len(columns), ), 2., device=white.device)
    twice[0] = 1.
    if width % 2 == 0:
        twice[-1] = 1.
    power = (twice / frequency.square()).sum() / (height * width)
    spectrum = torch.fft.rfft2(white.float()) / (frequency * power.sqrt())
    return torch.fft.irfft2(spectrum, s=(height, width)).to(white.dtype)


COLOURS: dict[str, Callable[[Tensor], Tensor]] = {
    'white': lambda white: white,
    'pink': pink_noise,
}
"""What becomes of white noise, by name."""


def process_generator(device: torch.device | str) -> torch.Generator | None:
    """Make draws of training differ between processes that were seeded alike.

    OpenMMLab's tools seed all processes of a training with one number; with
    the global generators all would noise their samples alike. A number drawn
    from the CPU's global generator and the rank seed a new generator, so that
    whoever restores the global state gets the same draws again.

    Args:
        device: device of the random draws.

    Returns:
        The generator, or None, which stands for the global one, where there
        is one process.
    """
    if not (distributed.is_available() and distributed.is_initialized()) \
            or distributed.get_world_size() == 1:
        return None
    common = int(torch.randint(2 ** 31, (), device='cpu'))
    return torch.Generator(device).manual_seed(common + distributed.get_rank())
