"""Let a diffusion predict from maps that sampling would not give it."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ddp_perception.decoder.label_diffusion import LabelDiffusion
from ddp_perception.diffusion import add_noise

_NONE = object()


@contextmanager
def replaced(owner: object, name: str, value: Any) -> Iterator[None]:
    """Give an object another attribute meanwhile."""
    own = vars(owner).get(name, _NONE)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is _NONE:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextmanager
def feedback_through(diffusion: LabelDiffusion,
                     change: Callable[[Tensor, int], Tensor]) -> Iterator[None]:
    """Let what a sampler feeds back pass through a function meanwhile.

    Args:
        diffusion: whose sampler it is.
        change: ``change(clean, index)`` takes the (B S, c, H, W) map of the
            step of that index, 0 first, and returns what is fed back.
    """
    encode, index = diffusion.feedback, count()

    def encode_and_change(prediction: Tensor, size: tuple[int, int]) -> Tensor:
        return change(encode(prediction, size), next(index))
    with replaced(diffusion, 'feedback', encode_and_change):
        yield


def denoise_once(diffusion: LabelDiffusion, feats: Tensor, clean: Tensor,
                 noise: Tensor, time: float) -> Tensor:
    """Predict in one pass from clean maps that are noised to one time.

    Args:
        feats: (B, C, H, W) features.
        clean: (B, c, H, W) maps, as the codec encodes the truth; zeros leave
            the noise of that time alone.
        noise: (S, c, H, W) standard normal draws, the same for all images.
        time: in [0, 1].

    Returns:
        (B, S, ...) predictions.

    Raises:
        ValueError: ``clean`` and ``noise`` do not fit each other.
    """
    batch, seeds = len(clean), len(noise)
    level = diffusion.schedule.level(torch.tensor(float(time)))
    z = add_noise(
        clean[:, None].expand(batch, seeds, *clean.shape[1:]).flatten(0, 1),
        diffusion.coloured(noise)[None].expand(batch, *noise.shape).flatten(0, 1),
        level)
    prediction = diffusion.denoiser(z, level, diffusion.denoiser.condition(feats))
    return prediction.unflatten(0, (batch, seeds))
