"""What a model and its parts cost: parameters, operations, seconds.

Operations are those of torch's own convolutions and matrix products, two for each
multiplication with its sum. Sparse convolutions, the sampling of deformable
attention, pooling, norms and activations are not counted.
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ddp_perception.diffusion import clock
from ddp_perception.ops.linear import flop_formulas


def parameters_of(module: nn.Module) -> int:
    """Return the number of a module's parameters."""
    return sum(item.numel() for item in module.parameters())


@torch.no_grad()
def gflops_of(call: Callable[[], Any]) -> float:
    """Return 10^9 operations of a call."""
    with _flop_counter() as counter:
        call()
    return counter.get_total_flops() / 1e9


def _flop_counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping=flop_formulas())


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a model by name: backbone, neck, heads.

    Lists, and models inside a model (a detector with one more head), are taken
    apart in turn, as nobody calls them.
    """
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        if isinstance(child, nn.ModuleList) or hasattr(child, 'test_step'):
            found |= {f'{name}.{inner}': part
                      for inner, part in parts_of(child).items()}
        else:
            found[name] = child
    return found


@contextmanager
def shared_out(parts: Mapping[str, nn.Module], reading: Callable[[], float]
               ) -> Iterator[dict[str, float]]:
    """Attribute what a meter counts to the parts of a model that run meanwhile.

    A part runs from the call of the module or of its method ``predict`` to its
    return.

    Args:
        parts: none of them inside another.
        reading: of a meter that only rises.

    Yields:
        What each part has taken so far; one that has not run is absent.
    """
    taken: dict[str, float] = {}
    with ExitStack() as stack:
        for name, part in parts.items():
            for method in ('forward', 'predict'):
                if hasattr(part, method):
                    stack.enter_context(_metered(part, method, name, reading, taken))
        yield taken


@contextmanager
def _metered(part: nn.Module, method: str, name: str, reading: Callable[[], float],
             taken: dict[str, float]) -> Iterator[None]:
    """Wrap a method of a part, for a while; calls within a call count once."""
    inner, own = getattr(part, method), method in vars(part)
    running = False

    @wraps(inner)
    def metered(*args: Any, **kwargs: Any) -> Any:
        nonlocal running
        if running:
            return inner(*args, **kwargs)
        running, began, before = True, reading(), taken.get(name, 0.)
        try:
            return inner(*args, **kwargs)
        finally:
            running = False
            # In place of what was added meanwhile, by another method of the part.
            taken[name] = before + reading() - began
    setattr(part, method, metered)
    try:
        yield
    finally:
        if own:
            setattr(part, method, inner)
        else:
            delattr(part, method)


@dataclass(frozen=True)
class Cost:
    """What predictions cost.

    Args:
        parameters: by part, and under ``whole`` of the model.
        gflops: likewise, 10^9 operations of one prediction, the mean over the
            inputs; a part that has not run is absent.
        seconds: by part, of one prediction, the mean over the inputs; likewise.
        calls: seconds of each timed call of the model.
    """

    parameters: dict[str, int]
    gflops: dict[str, float]
    seconds: dict[str, float]
    calls: tuple[float, ...]

    def content(self) -> dict[str, Any]:
        """Return what a JSON file keeps."""
        return dict(
            parameters=self.parameters, gflops=self.gflops,
            seconds=dict(self.seconds, whole=dict(
                median=median(self.calls), least=min(self.calls),
                most=max(self.calls), calls=len(self.calls))))


@torch.no_grad()
def cost_of(model: nn.Module, inputs: Sequence[Any], rounds: int, warm_up: int = 1
            ) -> Cost:
    """Measure what predictions cost.

    Args:
        model: with ``test_step``, in evaluation mode.
        inputs: what that takes, each a prediction; kept as they are.
        rounds: timed calls for each input, in turns.
        warm_up: calls before, which are not timed.

    Raises:
        ValueError: there is no input, or ``rounds`` is below 1.
    """
    if not inputs or rounds < 1:
        raise ValueError('inputs and at least 1 round are needed, got '
                         f'{len(inputs)} and {rounds}')
    parts, anchor = parts_of(model), next(model.parameters())

    def predict(item: Any) -> float:
        item = copy.deepcopy(item)  # a step may write into it
        began = clock(anchor)
        model.test_step(item)  # type: ignore[operator]
        return clock(anchor) - began

    with _flop_counter() as counter, shared_out(
            parts, lambda: float(counter.get_total_flops())) as flops:
        for item in inputs:
            predict(item)
    for _ in range(warm_up):
        predict(inputs[0])
    calls = tuple(predict(item) for _ in range(rounds) for item in inputs)
    # Apart from the above, as a GPU waits at each part for its clock.
    with shared_out(parts, lambda: clock(anchor)) as seconds:
        for item in inputs:
            predict(item)
    flops['whole'] = counter.get_total_flops()
    return Cost({**{name: parameters_of(part) for name, part in parts.items()},
                 'whole': parameters_of(model)},
                {name: value / len(inputs) / 1e9 for name, value in flops.items()},
                {name: value / len(inputs) for name, value in seconds.items()}, calls)
