"""Noise that depends on a seed and on nothing else."""
import torch
from torch import Tensor


def seeded_noise(channels: int, size: tuple[int, int], num_seeds: int = 1,
                 seed: int = 0, device: torch.device | str | None = None) -> Tensor:
    """Draw the noise that every image of an evaluation is started from.

    The draw is made on the CPU and does not depend on the image, the batch,
    the worker or the device, so figures do not either.

    Args:
        channels: channels of the noisy map.
        size: its height and width.
        num_seeds: draws per image.
        seed: of the generator, at least 0.

    Returns:
        (num_seeds, channels, H, W) float32, standard normal. The first draws
        are the same whatever ``num_seeds`` is.
    """
    if num_seeds < 1:
        raise ValueError(f'num_seeds must be at least 1, got {num_seeds}')
    draws = [torch.randn(channels, *size,
                         generator=torch.Generator().manual_seed(seed + index))
             for index in range(num_seeds)]
    return torch.stack(draws).to(device)
