"""A diffusion model as three graphs, for loops over the steps outside of them.

``features`` runs once for each input, ``step`` as often as one likes, ``output`` at
the end or whenever a result is wanted. Steps may so be any number, end early, run for
several draws of noise, or share their time with other work.
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ddp_perception.decoder.denoiser import Condition
from ddp_perception.diffusion import NoiseLevel, ddim_update, sampling_times
from ddp_perception.diffusion.uncertainty import OF_SEVERAL_PASSES
from ddp_perception.export.graph import Graph, GraphTensor, TensorGraph, example

PARTS = ('features', 'step', 'output')
_MAPS = {0: 'images', 1: 'seeds'}


class FeaturesPart(TensorGraph):
    """From the inputs of a graph to what conditions every step.

    Args:
        graph: of a model with a diffusion head that has a noisy map.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.whole = graph
        self.inputs = [one for one in graph.inputs if one.name != 'noise']

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the condition."""
        features = self.whole.features(self.named(tensors))
        return (self.whole.head.diffusion.denoiser.condition(features).fused, )

    def outputs(self, results: tuple[Tensor, ...]) -> list[GraphTensor]:
        """See `TensorGraph`."""
        free = {0: 'batch'} if self.inputs[0].free.get(0) == 'batch' else {}
        return [GraphTensor('condition', 'what the features say, (image, channel, row, '
                            'column); of a map rows are x and columns y',
                            results[0], free)]


class StepPart(TensorGraph):
    """One step of the DDIM sampler.

    Args:
        graph: see `FeaturesPart`.
        condition: of one image or several.
        noise: (S, c, H, W) as the whole graph takes it.
    """

    def __init__(self, graph: Graph, condition: Tensor, noise: Tensor) -> None:
        super().__init__()
        self.diffusion = graph.head.diffusion
        self.map_size = (noise.shape[-2], noise.shape[-1])
        images = condition if len(condition) > 1 else condition.repeat(2, 1, 1, 1)
        maps = example(len(images), 2, *noise.shape[1:], seed=1)
        self.inputs = [
            GraphTensor('condition', 'output of features', images, {0: 'images'}),
            GraphTensor('z', 'noisy maps (image, seed, channel, row, column): noise at '
                        'first, then z_next of the step before', maps, _MAPS),
            GraphTensor('now', 'time of z', torch.tensor(.75)),
            GraphTensor('next', 'time of z_next', torch.tensor(.25))]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the step's raw prediction and the next noisy maps."""
        condition, given, time, time_next = tensors
        now, nxt = self._level(time), self._level(time_next)
        z, denoiser = given.flatten(0, 1), self.diffusion.denoiser
        size = (condition.shape[-2], condition.shape[-1])
        prediction = denoiser(z, now, Condition(
            condition, denoiser.decoder.position_terms(size, condition.device)))
        clean = self.diffusion.feedback(prediction, self.map_size)
        seeds = given.shape[1]
        return tuple(maps.unflatten(0, (-1, seeds)) for maps in (
            prediction, ddim_update(z, clean, now, nxt)))

    def _level(self, time: Tensor) -> NoiseLevel:
        log_snr = self.diffusion.schedule.log_snr(time)
        # sqrt(sigmoid(x)), but for runtimes whose sigmoid is 0 for x below -18.
        alpha, sigma = ((1 + each.exp()).rsqrt() for each in (-log_snr, log_snr))
        return NoiseLevel(time, log_snr, alpha, sigma)

    def outputs(self, results: tuple[Tensor, ...]) -> list[GraphTensor]:
        """See `TensorGraph`."""
        return [GraphTensor('prediction', 'of each map, (image, seed, channel, row, '
                            'column): logits of classes, or the quantity', results[0],
                            _MAPS),
                GraphTensor('z_next', 'z of the next step', results[1], _MAPS)]


class OutputPart(TensorGraph):
    """From predictions of steps to what the whole graph gives.

    Args:
        graph: see `FeaturesPart`.
        predictions: of a step.

    Raises:
        ValueError: the uncertainty depends on the order or the number of the passes.
    """

    def __init__(self, graph: Graph, predictions: Tensor) -> None:
        super().__init__()
        self.whole = graph
        kind = graph.head.uncertainty_kind
        if kind in ('changes', 'disagreement'):
            raise ValueError(f'uncertainty={kind!r} compares the steps one by one; the '
                             'parts, whose steps are any number, have entropy, '
                             'mutual_information, spread or none')
        free = {0: 'images', 1: 'passes'}
        self.inputs = [GraphTensor(
            'predictions', 'of step, one after another (image, pass, channel, row, '
            "column): those of the last step or, of sampler.average 'all', of every "
            'step', predictions, free)]
        if kind in OF_SEVERAL_PASSES:
            self.inputs.append(GraphTensor(
                'compared', 'likewise, what the uncertainty compares: predictions, or '
                'those of every step where predictions has one pass',
                torch.cat([predictions.flip(0), predictions], 1),  # of another length
                {**free, 1: 'compared_passes'}))
        self.head = copy.copy(graph.head)
        self.head.sampler = sampler = copy.copy(graph.head.sampler)
        sampler.uncertainty = kind
        sampler.num_steps = 1  # whatever comes in counts

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the prediction and, where there is one, its uncertainty."""
        named = self.named(tensors)
        predictions = named['predictions']
        return self.whole.output(
            self.head.average([predictions]),
            self.head.uncertainty([named.get('compared', predictions)]))

    def outputs(self, results: tuple[Tensor, ...]) -> list[GraphTensor]:
        """See `TensorGraph`."""
        return [GraphTensor(one.name, one.meaning, one.sample, {0: 'images'})
                for one in self.whole.outputs(results)]


def split(graph: Graph) -> list[tuple[str, TensorGraph]]:
    """Return the parts of a graph by name, in their order.

    Args:
        graph: its noise is an input.

    Raises:
        ValueError: there are no steps, or the uncertainty is none of the parts'.
    """
    noise = next((one.sample for one in graph.inputs if one.name == 'noise'), None)
    if noise is None:
        raise ValueError('parts are those of a sampler that starts from noise, as an '
                         'input: a diffusion head with a noisy map, and no constant '
                         'noise')
    features = FeaturesPart(graph)
    with torch.no_grad():
        condition, = features(*(one.sample for one in features.inputs))
        step = StepPart(graph, condition, noise)
        prediction, _ = step(*(one.sample for one in step.inputs))
    return [('features', features), ('step', step),
            ('output', OutputPart(graph, prediction))]


def times_record(graph: Graph) -> dict[str, Any]:
    """Return how the times of the steps follow from their number."""
    diffusion = graph.head.diffusion
    lower, further = diffusion.sample_range[0], diffusion.time_difference
    steps = graph.head.sampler.num_steps
    return dict(
        lower=lower, time_difference=further, of_num_steps=sampling_times(
            steps, further, lower),
        rule='step k of K, counted from 0: now = 1 - k / K * (1 - lower); next = '
        'max(1 - (k + 1 + time_difference) / K * (1 - lower), lower)')


Compute = Callable[[str, Mapping[str, Tensor]], Sequence[Tensor]]
"""From a part's name and its inputs to its outputs."""


def whole_result(graph: Graph, compute: Compute) -> Sequence[Tensor]:
    """Do with the parts what the graph does, on its example."""
    inputs = {one.name: one.sample for one in graph.inputs}
    noise = inputs.pop('noise')
    condition, = compute('features', inputs)
    z = noise.expand(len(condition), *noise.shape)
    sampler, predictions = graph.head.sampler, []
    for now, nxt in times_record(graph)['of_num_steps']:
        prediction, z = compute('step', dict(
            condition=condition, z=z, now=torch.tensor(now), next=torch.tensor(nxt)))
        predictions.append(prediction)
    counted = predictions if sampler.average == 'all' else predictions[-1:]
    given = {'predictions': torch.cat(list(counted), 1)}
    if graph.head.uncertainty_kind in OF_SEVERAL_PASSES:
        given['compared'] = given['predictions'] if given['predictions'].shape[1] > 1 \
            else torch.cat(predictions, 1)
    return compute('output', given)
