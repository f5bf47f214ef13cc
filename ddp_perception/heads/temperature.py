"""Temperature: how sure a head says it is, without changing what it decides.

With an offset of each class beside it decisions move too, as they must where classes
are rarer than in training.

Source: Guo et al., arXiv:1706.04599, section 4.2; offsets: Alexandari et al.,
arXiv:1901.06852 (bias-corrected temperature scaling), for a class that is there or
not Platt, 1999.
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
    """Divide the logits of each group by its temperature; then add offsets, if any.

    A state dict holds ``temperature`` and ``offsets`` only where they were fitted,
    so checkpoints of models that were never calibrated have the names they always
    had. One without them means 1 and no offsets, and is complete.

    Args:
        groups: how many are calibrated apart: 1 for classes that exclude each
            other, the number of overlapping classes.
        classes: how many can have an offset; None where that is not known.

    Attributes:
        temperature: (groups, ) buffer, above 0.
        offsets: (classes, ) buffer, or None.
    """

    temperature: Tensor
    offsets: Tensor | None

    def __init__(self, groups: int = 1, classes: int | None = None) -> None:
        super().__init__()
        self.classes = classes
        self.register_buffer('temperature', torch.ones(groups))
        self.register_buffer('offsets', None)

    @classmethod
    def of(cls, outcome: Outcome, codec: LabelCodec) -> Temperature | None:
        """Return that of a head; None where its predictions are no classes.

        Overlapping classes share one where their codec does not say how many
        they are.
        """
        classes = getattr(codec, 'num_classes', None)
        if isinstance(outcome, Presences):
            return cls(1 if classes is None else classes, classes)
        return cls(classes=classes) if isinstance(outcome, Classes) else None

    @property
    def fitted(self) -> bool:
        """Whether it changes anything."""
        return self.offsets is not None or bool((self.temperature != 1).any())

    def assign(self, temperature: Tensor, offsets: Tensor | None = None) -> None:
        """Take (groups, ) temperatures and (classes, ) offsets, or none.

        Raises:
            ValueError: another shape, a temperature that is not positive and finite,
                an offset that is not finite.
        """
        if temperature.shape != self.temperature.shape:
            raise ValueError(f'temperature must be {tuple(self.temperature.shape)}, '
                             f'got {tuple(temperature.shape)}')
        if offsets is not None and offsets.shape != (self.classes, ):
            raise ValueError(f'offsets must be ({self.classes}, ), got '
                             f'{tuple(offsets.shape)}')
        if problem := _problem(temperature) or _problem_of_offsets(offsets):
            raise ValueError(problem)
        self.temperature.copy_(temperature)
        self.offsets = None if offsets is None else offsets.to(self.temperature)

    def optional_state(self) -> dict[str, Tensor]:
        """Return what a state dict may hold or lack."""
        state = {'temperature': self.temperature}
        if self.classes is not None:
            state['offsets'] = self.temperature.new_zeros(self.classes)
        return state

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str,
                            keep_vars: bool) -> None:
        if self.fitted:
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str,
                              local_metadata: Any, strict: bool,
                              missing_keys: list[str], unexpected_keys: list[str],
                              error_msgs: list[str]) -> None:
        key = f'{prefix}temperature'
        given = state_dict.get(key, torch.ones_like(self.temperature))
        name_of_offsets = f'{prefix}offsets'
        offsets = state_dict.get(name_of_offsets)
        problems = {key: _problem(given), name_of_offsets: _problem_of_offsets(offsets)}
        if found := [f'{name}: {text}' for name, text in problems.items() if text]:
            error_msgs += found
            return
        self.offsets = None if offsets is None or self.classes is None else \
            self.temperature.new_zeros(self.classes)
        super()._load_from_state_dict(
            {**state_dict, key: given}, prefix, local_metadata, strict, missing_keys,
            unexpected_keys, error_msgs)


def calibrated(values: Tensor, temperature: Tensor | None, outcome: Outcome, *,
               offsets: Tensor | None = None, logits: bool = False) -> Tensor:
    """Apply a temperature, and offsets if any, to probabilities or to logits.

    Without offsets decisions stay: the greatest class is the same one, and an
    overlapping class keeps its side of 0.5, to the last bit.

    Args:
        values: (..., C, H, W) probabilities, as ``outcome.values`` or a mean
            of them gives; they are clipped by `CLIP` from 0 and, for
            overlapping classes, from 1.
        temperature: (1, ) or (C, ), see `Temperature`. Where all are 1 and there
            are no offsets, or it is None, the values themselves are returned.
        outcome: what a prediction says; only `Classes` and `Presences` change.
        offsets: (C, ), added to the divided logits.
        logits: whether `values` are logits.

    Returns:
        (..., C, H, W) of the type of `values`: probabilities, or logits.
    """
    if temperature is None or not isinstance(outcome, Classes | Presences):
        return values
    # A graph applies whichever temperature it is given.
    if offsets is None and not is_compiling() and bool((temperature == 1).all()):
        return values
    scores = values.to(torch.promote_types(values.dtype, torch.float32))
    if not logits:
        scores = scores.logit(CLIP) if isinstance(outcome, Presences) \
            else scores.clamp(min=CLIP).log()
    scores = scores / temperature.to(values.device)[:, None, None]
    if offsets is not None:
        scores = scores + offsets.to(values.device)[:, None, None]
    if not logits:
        scores = outcome.values(scores)
    scores = scores.to(values.dtype)
    if offsets is not None or logits and isinstance(outcome, Presences):
        return scores
    return (_same_side if isinstance(outcome, Presences) else _same_winner)(
        scores, values)


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


def _problem_of_offsets(offsets: Tensor | None) -> str | None:
    if offsets is None or bool(torch.isfinite(offsets).all()):
        return None
    return f'offsets must be finite, got {offsets.flatten()[:8].tolist()}'
