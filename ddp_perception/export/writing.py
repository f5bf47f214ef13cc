"""Write a model as an ONNX file, and prove that it computes the same."""
from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from ddp_perception.bevfusion import BEVFusion
from ddp_perception.detectors.map_prior import MapPriorSegmentor
from ddp_perception.export.frame_inputs import example_frame, frame_inputs
from ddp_perception.export.graph import Graph
from ddp_perception.export.image_graph import ImageGraph
from ddp_perception.export.map_graphs import FrameGraph, PriorGraph
from ddp_perception.export.parts import split, times_record, whole_result
from ddp_perception.export.tracing import greatest_difference, start_session, trace
from ddp_perception.files import whole_file
from ddp_perception.heads import BEVHead, DenseHead, DiffusionHead

OPSET = 18
"""The one that PyTorch's exporter writes; for others it converts what it wrote. It has
LayerNormalization (17), and nothing that later ones added, such as Gelu (20), so that
older releases of TensorRT and ONNX Runtime read the file too. 20 and 22 agree with
PyTorch as well."""
METADATA = 'ddp_perception'
"""Key of the description within the ONNX file."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the ONNX file; the JSON file beside it has its name and ``.json``.
        description: what that JSON file holds.
        difference: greatest difference to PyTorch: of probabilities, or of
            metres as a share of them.
        unsupported: operations that TensorRT lacks.
        sample: inputs by name, and the outputs that PyTorch computed of them.
    """

    path: Path
    description: dict[str, Any]
    difference: float
    unsupported: list[str]
    sample: dict[str, Tensor]


def graph_of(model: Any, *, constant_noise: bool = False,
             image_size: tuple[int, int] | None = None, cameras: int = 6) -> Graph:
    """Return a copy of a model as a graph.

    Args:
        model: `ddp.BEVFusion` or `ddp.MapPriorSegmentor` with a map head, or a
            segmentor with a `DenseHead`.
        constant_noise: see `Graph`.
        image_size: height and width, for segmentors; by default the window of
            a test that slides.
        cameras: of the example, for `ddp.BEVFusion`.

    Raises:
        ValueError: a model of another kind, or one that no graph can hold.
    """
    model = copy.deepcopy(model).cpu().eval()
    if isinstance(getattr(model, 'seg_head', None), BEVHead):
        if isinstance(model, BEVFusion):
            with torch.no_grad():
                frame = frame_inputs(model, *example_frame(model, cameras))
            return FrameGraph(model, frame, constant_noise)
        if isinstance(model, MapPriorSegmentor):
            channels = next(p for p in model.encoder.parameters() if p.dim() == 4)
            return PriorGraph(model, channels.shape[1], constant_noise)
    if isinstance(getattr(model, 'decode_head', None), DenseHead):
        size = image_size or model.test_cfg.get('crop_size')
        if size is None:
            raise ValueError('image_size is needed: the model takes images of any '
                             'size, a graph takes one')
        height, width = size
        if min(height, width) < 1:
            raise ValueError('image_size must be a height and a width in pixels, got '
                             f'{height} and {width}')
        return ImageGraph(model, (height, width), constant_noise)
    raise ValueError('only ddp.BEVFusion and ddp.MapPriorSegmentor with a map head and '
                     "mmseg's segmentors with a head of ddp can be exported, got "
                     f'{type(model).__name__}')


def export_graph(graph: Graph, path: str | Path, *, opset: int = OPSET,
                 classes: Sequence[str] = (), preprocessing: dict | None = None,
                 weights: str = '') -> Exported:
    """Write a graph as ONNX with a description, and check it.

    Args:
        graph: of `graph_of`.
        path: of the file, ``.onnx``. It appears only once every check has passed.
        opset: of ONNX.
        classes: names, for the description.
        preprocessing: how images are prepared, for the description.
        weights: what identifies the weights, see `weights_digest`.

    Raises:
        ValueError: results of ONNX Runtime differ by `TOLERANCE` or more.
        onnx.checker.ValidationError: the file is no valid ONNX.
    """
    path = Path(path)
    traced = trace(graph, opset)
    description = _description(
        graph, dict(kind=graph.kind, **traced.record()), opset, classes,
        preprocessing, weights, traced.unsupported)
    _describe(traced.model, description)
    description['difference'] = difference = traced.difference(
        graph.predicts == 'probabilities')
    with whole_file(path) as part:
        onnx.save(traced.model, part)
    _write_description(path, description)
    return Exported(path, description, difference, traced.unsupported, traced.sample())


def export_parts(graph: Graph, path: str | Path, *, opset: int = OPSET,
                 classes: Sequence[str] = (), preprocessing: dict | None = None,
                 weights: str = '') -> Exported:
    """Write the parts of a graph as ONNX files with one description, and check them.

    Each is checked as `export_graph` checks a graph, and then all together: their
    loop over the steps must give what the graph gives.

    Args:
        graph: of `graph_of`, its noise an input.
        path: ``.onnx``; the files are ``<stem>_<part>.onnx`` for `PARTS`, and
            ``<stem>.json``. They appear only once every check has passed.
        opset, classes, preprocessing, weights: see `export_graph`.

    Raises:
        ValueError: as `export_graph`, or `split`.
        onnx.checker.ValidationError: a file is no valid ONNX.
    """
    path = Path(path)
    traced = {name: trace(part, opset) for name, part in split(graph)}
    noise = next(one for one in graph.inputs if one.name == 'noise')
    graph.inputs = [*traced['features'].inputs, noise]  # the batch may be fixed
    unsupported = sorted({each for one in traced.values() for each in one.unsupported})
    files = {name: path.with_name(f'{path.stem}_{name}.onnx') for name in traced}
    record = dict(kind='parts', of=graph.kind, noise=noise.record(), parts={
        name: dict(file=files[name].name, **one.record())
        for name, one in traced.items()})
    description = _description(graph, record, opset, classes, preprocessing, weights,
                               unsupported)
    del description['sampler']['constant_noise']
    description['sampler']['times'] = times_record(graph)
    for name, one in traced.items():
        _describe(one.model, {**description, 'part': name})
        one.difference(False)
    sessions = {name: start_session(one.model) for name, one in traced.items()}

    def compute(name: str, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        return [torch.from_numpy(result) for result in sessions[name].run(
            None, {key: value.numpy() for key, value in inputs.items()})]
    with torch.no_grad():
        expected = graph(*(one.sample for one in graph.inputs))
    outputs = graph.outputs(expected)
    description['difference'] = difference = greatest_difference(
        outputs, [result.numpy() for result in whole_result(graph, compute)],
        graph.predicts == 'probabilities')
    with contextlib.ExitStack() as stack:
        parts = {name: stack.enter_context(whole_file(file))
                 for name, file in files.items()}
        for name, part in parts.items():
            onnx.save(traced[name].model, part)
    _write_description(path, description)
    sample = {one.name: one.sample for one in (*graph.inputs, *outputs)}
    return Exported(path, description, difference, unsupported, sample)


def _description(graph: Graph, record: dict[str, Any], opset: int,
                 classes: Sequence[str], preprocessing: dict | None, weights: str,
                 unsupported: Sequence[str]) -> dict[str, Any]:
    return {**record, 'weights': weights, 'opset': opset, 'torch': torch.__version__,
            'preprocessing': preprocessing, 'classes': list(classes),
            **_head_record(graph), 'not_in_tensorrt': unsupported}


def _describe(model: onnx.ModelProto, description: dict[str, Any]) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(description)


def _write_description(path: Path, description: dict[str, Any]) -> None:
    with whole_file(path.with_suffix('.json')) as part:
        part.write_text(json.dumps(description, indent=1) + '\n')


def weights_digest(model: nn.Module) -> str:
    """Return what tells models of different weights apart."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(
            torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def preprocessing_of(model: nn.Module) -> dict[str, Any] | None:
    """Return how a model's images are prepared; None where nothing is done."""
    step: Any = getattr(model, 'data_preprocessor', None)
    if not getattr(step, '_enable_normalize', False):
        return None
    turned = getattr(step, 'channel_conversion', getattr(
        step, '_channel_conversion', False))
    return {'channel_order': 'rgb' if turned else 'bgr',
            'mean': step.mean.flatten().tolist(), 'std': step.std.flatten().tolist(),
            'formula': '(pixel - mean) / std, pixels 0 to 255 in channel_order'}


def _head_record(graph: Graph) -> dict[str, Any]:
    """Return what the description says of a head."""
    head = graph.head
    record: dict[str, Any] = {}
    grid = getattr(head, 'output_grid', getattr(head, 'input_grid', None))
    if grid is not None:
        record['grid'] = dict(xbound=list(grid.xbound), ybound=list(grid.ybound))
    if isinstance(head, DiffusionHead):
        record['sampler'] = {**sampler_record(head),
                             'constant_noise': graph.constant_noise}
    return record


def sampler_record(head: DiffusionHead) -> dict[str, Any]:
    """Return what of a head's sampling a graph fixes, and its noise."""
    sampler = head.sampler
    return dict(num_steps=sampler.num_steps, num_seeds=sampler.num_seeds,
                average=sampler.average, uncertainty=head.uncertainty_kind,
                seed=sampler.seed, initial_noise=sampler.initial_noise)
