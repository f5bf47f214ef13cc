"""Evaluate one trained head in all the ways that its variant names."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ddp_perception.decoder.probing import replaced
from ddp_perception.diffusion import clock
from ddp_perception.heads import DiffusionHead
from ddp_perception.probing.variations import Call
from ddp_perception.study.cross_calibration import temperature_of
from ddp_perception.study.declaration import SINGLE
from ddp_perception.study.evaluations import (
    SEEDS,
    SEVERAL_STEPS,
    TRUTH,
    evaluations_of,
)
from ddp_perception.study.features import Split
from ddp_perception.study.tally import Tally
from ddp_perception.study.tasks import Task

DIFFERENCES = {'step_gain': (SEVERAL_STEPS, SINGLE),
               'drift': ('steps_10', SEVERAL_STEPS), 'oracle_gain': (TRUTH, SINGLE)}
"""Figures that are differences of two IoUs, in points."""
BATCH = 4
CALIBRATED_ON = 32  # samples that a temperature is fitted to, at most


@torch.no_grad()
def evaluate(head: Any, task: Task, names: Sequence[str], evaluated: Split,
             trained: Split) -> dict[str, float]:
    """Return all figures of a head.

    Args:
        head: in evaluation mode, on the device that is to predict.
        task: what it predicts.
        names: of its evaluations; a head without diffusion has one.
        evaluated: samples to predict.
        trained: those of training; a temperature is fitted to what was held
            out of them.

    Returns:
        By ``'<evaluation>/<figure>'``: see `Tally`, and ``seconds`` per image;
        of an evaluation that has a reference ``apart``, the percentage of
        cells that it decides otherwise; and the `DIFFERENCES`.
    """
    if isinstance(head, DiffusionHead):
        return _of_diffusion(head, task, names, evaluated, trained)
    return _of_plain(head, task, evaluated, trained)


def _of_plain(head: Any, task: Task, evaluated: Split, trained: Split
              ) -> dict[str, float]:
    tally = Tally(task, True, _temperature(head, task, trained))
    seconds = 0.
    for feats, truth in _batches(evaluated, range(len(evaluated)), head):
        began = clock(feats)
        steps = task.steps(head, feats)
        seconds += clock(steps[-1]) - began
        tally.add(steps, truth)
    return {f'{SINGLE}/{name}': value for name, value in (
        *tally.figures().items(), ('seconds', seconds / len(evaluated)))}


def _of_diffusion(head: Any, task: Task, names: Sequence[str], evaluated: Split,
                  trained: Split) -> dict[str, float]:
    runs = evaluations_of(names, head.sampler)
    usual = SEVERAL_STEPS if SEVERAL_STEPS in names else SINGLE
    temperatures = {}
    for item in runs:
        if item.key in (usual, SEEDS):
            with replaced(head, 'sampler', item.sampler):
                temperatures[item.key] = _temperature(head, task, trained)
    tallies = {item.key: Tally(task, item.key in temperatures,
                               temperatures.get(item.key)) for item in runs}
    for feats, truth in _batches(evaluated, range(len(evaluated)), head):
        for item in runs:
            item.start_batch()
        call = Call(0, list(truth))
        for item in runs:
            with item.applied(head, lambda call=call: call):  # type: ignore[misc]
                tallies[item.key].add(head.prediction_steps(feats), truth)
    figures: dict[str, float] = {}
    for item in runs:
        found = {**tallies[item.key].figures(), 'seconds': item.seconds / item.images}
        if item.reference is not None:
            found['apart'] = 100 * item.apart.mean
        figures |= {f'{item.key}/{name}': value for name, value in found.items()}
    return figures | {
        name: figures[f'{greater}/iou'] - figures[f'{less}/iou']
        for name, (greater, less) in DIFFERENCES.items()
        if f'{greater}/iou' in figures and f'{less}/iou' in figures}


def _temperature(head: Any, task: Task, trained: Split) -> Tensor:
    held_out = trained.places(held_out=True)[:CALIBRATED_ON]

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        for feats, truth in _batches(trained, held_out, head):
            size = (truth.shape[-2], truth.shape[-1])
            yield from zip(task.scores(task.steps(head, feats)[-1], size), truth,
                           strict=True)
    return temperature_of(task, images())


def _batches(split: Split, places: Sequence[int], head: Any
             ) -> Iterator[tuple[Tensor, Tensor]]:
    device = str(next(head.parameters()).device)
    for first in range(0, len(places), BATCH):
        yield split.batch(places[first:first + BATCH], device)
