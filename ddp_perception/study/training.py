"""Train one head on features that are there already."""
from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from ddp_perception.engine.numbered_batches import seed_generators
from ddp_perception.engine.quiet import quiet
from ddp_perception.files import whole_file
from ddp_perception.freed_memory import keep_freed_memory
from ddp_perception.study.cost import cost_of
from ddp_perception.study.evaluation import evaluate
from ddp_perception.study.features import FeatureStore, Split
from ddp_perception.study.tasks import Task

WARM_UP = 0.1
"""Share of the iterations in which the learning rate rises."""
LAST_RATE = 0.01
"""Share of the learning rate that is left at the end of its cosine."""
_HEAD, _TRAINING, _EVALUATION = range(3)  # keep their random numbers apart


@dataclass(frozen=True)
class Job:
    """One training and its evaluation; it can be handed to another process.

    Args:
        variant: name of what is trained.
        seed: fixes weights, batches and noise. Variants of one seed share the
            batches.
        head: settings of the head.
        evaluations: see `Variant`.
        task: what it predicts.
        iterations, batch_size: of the training.
        optim_wrapper: settings of mmengine's optimiser and gradient clipping.
        scope: mmengine's default scope of the settings.
        folder: of the study; its features are there.
        threads: of torch, or None for as many as there are.
        device: that trains and evaluates.
    """

    variant: str
    seed: int
    head: Mapping[str, Any]
    evaluations: tuple[str, ...]
    task: Task
    iterations: int
    batch_size: int
    optim_wrapper: Mapping[str, Any] = field(repr=False)
    scope: str
    folder: Path
    threads: int | None = None
    device: str = 'cpu'

    @property
    def features(self) -> FeatureStore:
        """What it trains on."""
        return FeatureStore(self.folder / 'features')

    @property
    def weights(self) -> Path:
        """Where the trained head is kept."""
        return weights_place(self.folder, self.variant, self.seed)

    @property
    def settings(self) -> dict[str, Any]:
        """All that its result depends on but the seed and the features."""
        return dict(head=self.head, evaluations=list(self.evaluations),
                    iterations=self.iterations, batch_size=self.batch_size,
                    optim_wrapper=self.optim_wrapper)

    def run(self) -> dict[str, float | None]:
        """Train, keep the weights, evaluate; return all figures.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        began = time.perf_counter()
        keep_freed_memory()
        store = self.features
        trained, evaluated = store.split('train'), store.split('evaluation')
        head = build_head(self.head, self.scope, self.seed).to(self.device)
        figures = self._train(head, trained)
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.weights) as part:
            torch.save({name: value.cpu() for name, value in head.state_dict().items()},
                       part)
        seed_generators(self.seed, _EVALUATION)
        figures |= cost_of(head, self.task, evaluated.batch([0], self.device)[0])
        figures |= evaluate(head, self.task, self.evaluations, evaluated, trained)
        figures['seconds'] = time.perf_counter() - began
        return {name: float(value) if math.isfinite(value) else None
                for name, value in figures.items()}

    def _train(self, head: nn.Module, trained: Split) -> dict[str, float]:
        with quiet(MMLogger.get_current_instance()):  # it tells of every parameter
            optimiser = build_optim_wrapper(
                head, copy.deepcopy(dict(self.optim_wrapper)))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser.optimizer, lambda step: rate(step, self.iterations))
        order = Order(trained.places(held_out=False), self.seed)
        seed_generators(self.seed, _TRAINING)
        head.train()
        losses, seconds = [], []
        for step in range(self.iterations):
            began = time.perf_counter()
            loss = self.task.loss(head, *trained.batch(
                order.next(self.batch_size), self.device))
            optimiser.update_params(loss)
            schedule.step()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(
                    f'the loss of {self.variant}, seed {self.seed}, is {losses[-1]} in '
                    f'iteration {step + 1}')
            seconds.append(time.perf_counter() - began)
        head.eval()
        return {'loss': fmean(losses[-50:]),
                'seconds_per_iteration': median(seconds)}


class Order:
    """Draw batches: every place once, in random order, then all over again.

    Args:
        places: to draw from.
        seed: of the order, which depends on nothing else.
    """

    def __init__(self, places: list[int], seed: int) -> None:
        self._places = torch.tensor(places)
        self._draw = torch.Generator().manual_seed(seed)
        self._left: list[int] = []

    def next(self, count: int) -> list[int]:
        """Return the places of the next batch."""
        while len(self._left) < count:
            chosen = torch.randperm(len(self._places), generator=self._draw)
            self._left += self._places[chosen].tolist()
        batch, self._left = self._left[:count], self._left[count:]
        return batch


def build_head(settings: Mapping[str, Any], scope: str, seed: int) -> Any:
    """Build a head, its weights drawn from a seed."""
    init_default_scope(scope)
    seed_generators(seed, _HEAD)
    head = MODELS.build(copy.deepcopy(dict(settings)))
    with quiet(MMLogger.get_current_instance()):
        head.init_weights()
    return head


def rate(step: int, iterations: int) -> float:
    """Return the share of the learning rate: it rises, then falls as a cosine."""
    warm = max(1, round(WARM_UP * iterations))
    if step < warm:
        return (step + 1) / warm
    done = min(1., (step - warm) / max(1, iterations - warm))
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def weights_place(folder: Path, variant: str, seed: int) -> Path:
    """Return the file of a trained head."""
    return Path(folder) / 'heads' / f'{variant}_{seed}.pth'
