"""Predict prepared samples, some at a time."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from ddp_perception.cli.errors import UserError


def predict_samples(model: BaseModel, samples: Iterable[tuple[str, Any]],
                    batch_size: int) -> Iterator[tuple[str, BaseDataElement]]:
    """Yield what a model predicts, in the order of the samples.

    Samples are prepared when their batch is due. Where an input has another shape than
    the one before, as images of several sizes have, a new batch begins. Where a sample
    fails, those before it are predicted first.

    Args:
        model: In evaluation mode.
        samples: Name, and what a test pipeline returns.
        batch_size: How many go through the model at once, at most.

    Raises:
        UserError: the batch size is no whole number of at least 1.
    """
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise UserError('batch_size must be a whole number of at least 1, got '
                        f'{batch_size!r}')
    return _predicted(model, samples, batch_size)


def _predicted(model: BaseModel, samples: Iterable[tuple[str, Any]], batch_size: int
               ) -> Iterator[tuple[str, BaseDataElement]]:
    batch: list[tuple[str, Any]] = []
    samples, failure = iter(samples), None
    while True:
        try:
            name, sample = next(samples)
        except StopIteration:
            break
        except Exception as error:  # also one of the user's own generator
            failure = error
            break
        if batch and _shape(sample) != _shape(batch[0][1]):
            yield from _forward(model, batch)
            batch = []
        batch.append((name, sample))
        if len(batch) == batch_size:
            yield from _forward(model, batch)
            batch = []
    if batch:
        yield from _forward(model, batch)
    if failure is not None:
        raise failure


def _forward(model: BaseModel, batch: list[tuple[str, Any]]
             ) -> Iterator[tuple[str, BaseDataElement]]:
    with torch.no_grad():
        outputs = model.test_step(pseudo_collate([sample for _, sample in batch]))
    yield from zip((name for name, _ in batch), outputs, strict=True)


def _shape(sample: Any) -> tuple[int, ...]:
    """Return the shape of the image that a sample has, () without one."""
    inputs = sample['inputs']
    image = inputs.get('img') if isinstance(inputs, dict) else inputs
    return () if image is None else tuple(image.shape)
