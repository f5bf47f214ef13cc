"""Predict every batch in every way, and evaluate each."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from math import nan
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ddp_perception.decoder.probing import replaced
from ddp_perception.heads import DiffusionHead
from ddp_perception.prediction_heads import heads_of
from ddp_perception.probing.effects import Measured
from ddp_perception.probing.features import (
    FeatureMemory,
    UnknownTruth,
    truth_of,
    truth_planes,
)
from ddp_perception.probing.variations import (
    Call,
    ProbeOptions,
    Variation,
    variations,
)


class Probe:
    """Run a model's diffusion head in several ways over one pass of the data.

    Backbone and neck run once per batch where the model asks its own
    ``extract_feat`` for features, as mmseg's segmentors and `BEVFusion` do;
    any other model runs as a whole for each variation. Everything else, such
    as sliding windows, resizing and post-processing, is the model's own.

    Args:
        model: has one diffusion head. It is put into evaluation mode.
        options: what is varied.

    Attributes:
        head: the diffusion head.
        variations: what is run, in this order.

    Raises:
        ValueError: the model has no diffusion head, or several.

    One process only.
    """

    def __init__(self, model: nn.Module, options: ProbeOptions | None = None) -> None:
        found = [head for head in heads_of(model) if isinstance(head, DiffusionHead)]
        if len(found) != 1:
            kinds = [type(head).__name__ for head in found or heads_of(model)]
            raise ValueError(f'a probe needs one diffusion head, the model has '
                             f'{len(found)}' + f' ({", ".join(kinds)})' * bool(kinds))
        self.model: Any = model.eval()
        self.head: Any = found[0]
        self.options = options or ProbeOptions()
        self.variations = variations(self.head.sampler, self.options)

    @torch.no_grad()
    def predictions(self, batch: Mapping[str, Any]
                    ) -> Iterator[tuple[Variation, Sequence[BaseDataElement]]]:
        """Predict a batch in every way.

        Args:
            batch: of the test data, as its loader gives it.

        Yields:
            Each variation, and samples of its own that hold its predictions.

        Raises:
            UnknownTruth: the truth is asked for and cannot be had.
        """
        data = dict(self.model.data_preprocessor(batch, False))
        samples, inputs = data['data_samples'], data['inputs']
        truth: list[Tensor] | None = None
        planes = 0
        if self.options.oracle:
            if isinstance(inputs, Tensor):
                beside = truth_planes(samples, self.head.truth_field, inputs)
                planes, kind = beside.shape[1], samples[0].get(
                    self.head.truth_field).data.dtype
                inputs = torch.cat([inputs, beside], 1)
            else:
                truth = truth_of(samples, self.head.truth_field)
        with ExitStack() as stack:
            memory = None
            if hasattr(self.model, 'extract_feat'):
                memory = FeatureMemory(self.model.extract_feat, planes)
                stack.enter_context(replaced(self.model, 'extract_feat', memory))
            elif planes:
                raise UnknownTruth(f'{type(self.model).__name__} has no extract_feat, '
                                   'so its head cannot be given the truth of images')
            for variation in self.variations:
                variation.start_batch()
            for variation in self.variations:
                if memory is not None:
                    memory.rewind()
                calls = count()

                def call_of(calls: Iterator[int] = calls) -> Call:
                    shown = memory.truth if memory is not None and planes else None
                    return Call(next(calls), truth if shown is None
                                else list(shown.to(kind)))
                with variation.applied(self.head, call_of):
                    predicted = self.model(
                        inputs=dict(inputs) if isinstance(inputs, Mapping) else inputs,
                        data_samples=[sample.clone() for sample in samples],
                        mode='predict')
                yield variation, predicted

    def process(self, batch: Mapping[str, Any],
                evaluators: Mapping[str, Evaluator]) -> int:
        """Predict a batch in every way and hand it to the evaluators.

        Args:
            batch: see :meth:`predictions`.
            evaluators: one per variation, by its key.

        Returns:
            Number of samples.
        """
        predicted = 0
        for variation, samples in self.predictions(batch):
            evaluators[variation.key].process(data_samples=samples, data_batch=batch)
            predicted = len(samples)
        return predicted

    def measured(self, figures: Mapping[str, Mapping[str, float]]) -> list[Measured]:
        """Return what was counted, beside the figures of each variation."""
        return [Measured(
            item.key, item.label, item.group, item.value,
            None if item.reference is None else item.reference.key,
            dict(figures[item.key]), item.apart.mean, item.spread.mean,
            item.seconds / item.images if item.images else nan)
            for item in self.variations]
