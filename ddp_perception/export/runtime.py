"""A model whose network is an exported graph that ONNX Runtime computes."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from ddp_perception.diffusion import Classes
from ddp_perception.export.frame_inputs import frame_inputs
from ddp_perception.export.graph import start_noise
from ddp_perception.export.reading import open_graph
from ddp_perception.export.writing import sampler_record, weights_digest
from ddp_perception.heads import DiffusionHead


class LoadedGraph:
    """An exported graph, ready to run on the CPU.

    Args:
        path: ONNX file of `export_graph`.
        threads: that ONNX Runtime uses; by default as it chooses.
        error: what is raised where inputs do not fit.

    Attributes:
        description: what the file says of itself.

    Raises:
        ValueError: see `open_graph`.
    """

    def __init__(self, path: str | Path, threads: int = 0,
                 error: type[Exception] = ValueError) -> None:
        self.error = error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session, self.description = open_graph(path, options)

    def __call__(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name.

        Raises:
            ``error``: an input has another shape than the graph takes.
        """
        wanted = {one['name']: one['shape'] for one in self.description['inputs']}
        for name, shape in wanted.items():
            given = list(inputs[name].shape)
            if len(given) != len(shape) or any(
                    isinstance(length, int) and length != mine
                    for length, mine in zip(shape, given)):
                raise self.error(f'the graph takes {name} of the shape {shape}, got '
                                 f'{given}')
        results = self.session.run(None, {
            name: np.ascontiguousarray(inputs[name].cpu().numpy()) for name in wanted})
        return {one.name: torch.from_numpy(result)
                for one, result in zip(self.session.get_outputs(), results)}


def run_in_onnx(model: nn.Module, graph: LoadedGraph) -> None:
    """Let an exported graph predict in place of a model's own modules.

    What stands outside of the graph stays as it is: preparing, voxels, geometry,
    windows that slide, and what is made of a prediction.

    Args:
        model: of the configuration and weights that the graph was exported from,
            in evaluation mode. Its methods of prediction are replaced.
        graph: the graph.

    Raises:
        ValueError: the graph is of another kind of model, of other weights, or
            samples otherwise than the model is set to.
    """
    kind = graph.description['kind']
    if kind == 'parts':
        raise ValueError(f'the file is the part {graph.description["part"]!r} of a '
                         'graph, for a loop of your own; what predicts is a whole one, '
                         'exported without --parts')
    head: Any = getattr(model, 'decode_head' if kind == 'image' else 'seg_head', None)
    if head is None or kind not in _ATTACH:
        raise ValueError(f'the graph is one of the kind {kind!r}, which '
                         f'{type(model).__name__} is not')
    if graph.description['weights'] != weights_digest(model):
        raise ValueError('the graph was exported from other weights than those of the '
                         'checkpoint')
    if isinstance(head, DiffusionHead):
        _require_sampling(head, graph.description['sampler'])
    # A graph gives the last prediction alone.
    head.keep_steps = head.keep_seeds = False
    _ATTACH[kind](model, head, graph)


def _require_sampling(head: DiffusionHead, fixed: dict[str, Any]) -> None:
    asked = sampler_record(head)
    names = [name for name, value in asked.items() if value != fixed[name] and (
        fixed['constant_noise'] or name not in ('seed', 'initial_noise'))]
    head.sampler.require_fixed()
    if names:
        raise ValueError(f'the graph was exported with {names[0]}={fixed[names[0]]!r}, '
                         f'got {asked[names[0]]!r}: export it anew')


def _noise(head: Any, graph: LoadedGraph) -> dict[str, Tensor]:
    """Return the noise that a graph asks for."""
    for one in graph.description['inputs']:
        if one['name'] == 'noise':
            height, width = one['shape'][-2:]
            return {'noise': start_noise(head, (height, width))}
    return {}


def _attach_image(model: Any, head: Any, graph: LoadedGraph) -> None:
    noise = _noise(head, graph)
    batch = graph.description['inputs'][0]['shape'][0]
    as_logits = isinstance(head.outcome, Classes) and not head.averages_probabilities

    def encode_decode(inputs: Tensor, batch_img_metas: Sequence[dict]) -> Tensor:
        # One by one where the graph takes a single image.
        parts = [graph({'images': images, **noise}) for images in
                 (inputs.split(1) if batch == 1 else [inputs])]
        prediction, *uncertain = (torch.cat([part[name] for part in parts])
                                  for name in parts[0])
        if as_logits:  # whose softmax is the probabilities again
            prediction = prediction.clamp(min=torch.finfo(torch.float32).tiny).log()
        maps = [prediction, *(uncertain if head.appends_uncertainty else [])]
        return torch.cat(maps, 1).to(inputs.device)

    model.encode_decode = encode_decode


def _attach_frame(model: Any, head: Any, graph: LoadedGraph) -> None:
    noise = _noise(head, graph)

    def predict(batch_inputs_dict: dict, batch_data_samples: list) -> list:
        for index, sample in enumerate(batch_data_samples):
            images, points = (
                values if values is None else values[index] for values in (
                    batch_inputs_dict.get('imgs'), batch_inputs_dict.get('points')))
            frame = frame_inputs(model, images, points, sample.metainfo)
            _write(head, graph({**frame, **noise}), [sample])
        return batch_data_samples

    model.predict = predict


def _attach_prior(model: Any, head: Any, graph: LoadedGraph) -> None:
    noise = _noise(head, graph)
    model.extract_feat = lambda inputs, batch_input_metas=None: inputs
    head.predict = lambda inputs, samples: _write(
        head, graph({'prior': inputs, **noise}), samples)


def _write(head: Any, results: dict[str, Tensor], samples: Sequence[Any]) -> list:
    prediction, *uncertain = results.values()
    return head.write(prediction, uncertain[0] if uncertain else None, samples)


_ATTACH = {'image': _attach_image, 'frame': _attach_frame, 'prior': _attach_prior}
