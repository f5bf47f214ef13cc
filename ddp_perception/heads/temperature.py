"""Temperature: how sure a head says it is, without changing what it decides.

Source: Guo et al., arXiv:1706.04599, section 4.2.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ddp_perception.diffusion import Classes, LabelCodec, Outcome, Presences
from ddp_perception.ops import is_compiling

CLIP = torch.finfo(torch.float32).eps
"""Probabilities are brought this far from 0 and 1 before a logarithm."""


class Temperature(nn.Module):
    """Divide the logits of each group by its temperature.

    A state dict holds ``temperature`` only where it is not 1, so checkpoints
    of models that were never calibrated have the names they always had. One
    without it means 1, and is complete.

    Args:
        groups: how many are calibrated apart: 1 for classes that exclude each
            other, the number of overlapping classes.

    Attributes:
        temperature: (groups, ) buffer, above 0.
    """

    temperature: Tensor

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.register_buffer('temperature', torch.ones(groups))

    @classmethod
    def of(cls, outcome: Outcome, codec: LabelCodec) -> Temperature | None:
        """Return that of a head; None where its predictions are no classes.

        Overlapping classes share one where their codec does not say how many
        they are.
        """
        if isinstance(outcome, Presences):
            return cls(getattr(codec, 'num_classes', 1))
        return cls() if isinstance(outcome, Classes) else None

    def assign(self, temperature: Tensor) -> None:
        """Take (groups, ) temperatures.

        Raises:
            ValueError: another shape, or a value that is not positive and finite.
        """
        if temperature.shape != self.temperature.shape:
            raise ValueError(f'temperature must be {tuple(self.temperature.shape)}, '
                             f'got {tuple(temperature.shape)}')
        if problem := _problem(temperature):
            raise ValueError(problem)
        self.temperature.copy_(temperature)

    def optional_state(self) -> dict[str, Tensor]:
        """Return what a state dict may hold or lack."""
        return {'temperature': self.temperature}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str,
                            keep_vars: bool) -> None:
        if (self.temperature != 1).any():
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str,
                              local_metadata: Any, strict: bool,
                              missing_keys: list[str], unexpected_keys: list[str],
                              error_msgs: list[str]) -> None:
        key = f'{prefix}temperature'
        given = state_dict.get(key, torch.ones_like(self.temperature))
        if problem := _problem(given):
            error_msgs.append(f'{key}: {problem}')
            return
        super()._load_from_state_dict(
            {**state_dict, key: given}, prefix, local_metadata, strict, missing_keys,
            unexpected_keys, error_msgs)


def calibrated(values: Tensor, temperature: Tensor | None, outcome: Outcome, *,
               logits: bool = False) -> Tensor:
    """Apply a temperature to probabilities, or to logits.

    Decisions stay: the greatest class is the same one, and an overlapping
    class keeps its side of 0.5, to the last bit.

    Args:
        values: (..., C, H, W) probabilities, as ``outcome.values`` or a mean
            of them gives; they are clipped by `CLIP` from 0 and, for
            overlapping classes, from 1.
        temperature: (1, ) or (C, ), see `Temperature`. Where all are 1, or it is
            None, the values themselves are returned.
        outcome: what a prediction says; only `Classes` and `Presences` change.
        logits: whether `values` are logits, which are divided.

    Returns:
        (..., C, H, W) of the type of `values`: probabilities, or logits.
    """
    if temperature is None or not isinstance(outcome, Classes | Presences):
        return values
    # A graph applies whichever temperature it is given.
    if not is_compiling() and bool((temperature == 1).all()):
        return values
    divisor = temperature.to(values.device)[:, None, None]
    scores = values.to(torch.promote_types(values.dtype, torch.float32))
    if isinstance(outcome, Presences):
        if logits:
            return (scores / divisor).to(values.dtype)
        scores = scores.logit(CLIP) / divisor
        return _same_side(scores.sigmoid().to(values.dtype), values)
    if logits:
        return _same_winner((scores / divisor).to(values.dtype), values)
    scores = scores.clamp(min=CLIP).log() / divisor
    return _same_winner(scores.softmax(-3).to(values.dtype), values)


def _same_side(after: Tensor, before: Tensor) -> Tensor:
    """Undo roundings to 0.5, which is the threshold, and over it."""
    step = torch.finfo(after.dtype).eps / 4  # just below 0.5; twice it above
    after = torch.where(before > 0.5, after.clamp(min=0.5 + 2 * step), after)
    return torch.where(before < 0.5, after.clamp(max=0.5 - step), after)


def _same_winner(after: Tensor, before: Tensor) -> Tensor:
    """Undo roundings that make the greatest class equal to one before it."""
    winner = before.argmax(-3, keepdim=True)
    top = after.amax(-3, keepdim=True)
    facts = torch.finfo(after.dtype)
    raised = top + (top.abs() * facts.eps).clamp(min=facts.tiny)
    lost = after.argmax(-3, keepdim=True) != winner
    return after.scatter(-3, winner,
                         torch.where(lost, raised, after.gather(-3, winner)))


def _problem(temperature: Tensor) -> str | None:
    if bool((torch.isfinite(temperature) & (temperature > 0)).all()):
        return None
    return ('temperatures must be positive and finite, got '
            f'{temperature.flatten()[:8].tolist()}')
