"""Write a model as an ONNX file, and prove that it computes the same."""
from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError as NotFree

from ddp_perception.bevfusion import BEVFusion
from ddp_perception.detectors.map_prior import MapPriorSegmentor
from ddp_perception.export.frame_inputs import example_frame, frame_inputs
from ddp_perception.export.graph import Graph
from ddp_perception.export.image_graph import ImageGraph
from ddp_perception.export.map_graphs import FrameGraph, PriorGraph
from ddp_perception.export.tensorrt import unsupported_operations
from ddp_perception.files import whole_file
from ddp_perception.heads import BEVHead, DenseHead, DiffusionHead

OPSET = 18
"""The one that PyTorch's exporter writes; for others it converts what it wrote. It has
LayerNormalization (17), and nothing that later ones added, such as Gelu (20), so that
older releases of TensorRT and ONNX Runtime read the file too. 20 and 22 agree with
PyTorch as well."""
TOLERANCE = 1e-4
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

    The exporter is the one that builds on `torch.export`: a branch on a value is
    an error there rather than a wrong graph, and axes that are free stay free. The
    older one (``dynamo=False``) records one run, in which sizes are tensors: it
    fails on these models, at their checks of sizes and at ``full_like``.

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
    with torch.no_grad(), _quiet():
        try:
            program = _program(graph)
        except NotFree:  # some backbones compute with the number of images
            if not graph.fix_batch():
                raise
            program = _program(graph)
        samples = tuple(tensor.sample for tensor in graph.inputs)
        expected = graph(*samples)
        outputs = graph.outputs(expected)
        onnx_program = torch.onnx.export(
            program, dynamo=True, opset_version=opset, verbose=False,
            input_names=[tensor.name for tensor in graph.inputs],
            output_names=[tensor.name for tensor in outputs])
    assert onnx_program is not None
    model = onnx_program.model_proto
    _name_axes(model, [*graph.inputs, *outputs])
    onnx.checker.check_model(model, full_check=True)
    unsupported = unsupported_operations(model)
    description = {
        'kind': graph.kind, 'weights': weights, 'opset': opset,
        'torch': torch.__version__, 'inputs': [one.record() for one in graph.inputs],
        'outputs': [one.record() for one in outputs],
        'preprocessing': preprocessing, 'classes': list(classes),
        **_head_record(graph), 'not_in_tensorrt': unsupported}
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(description)
    difference = _difference(graph, run(model, dict(zip(
        (tensor.name for tensor in graph.inputs), samples))), expected)
    description['difference'] = difference
    with whole_file(path) as part:
        onnx.save(model, part)
    with whole_file(path.with_suffix('.json')) as part:
        part.write_text(json.dumps(description, indent=1) + '\n')
    sample = {tensor.name: tensor.sample for tensor in (*graph.inputs, *outputs)}
    return Exported(path, description, difference, unsupported, sample)


def _program(graph: Graph) -> torch.export.ExportedProgram:
    return torch.export.export(
        graph, tuple(tensor.sample for tensor in graph.inputs), strict=False,
        dynamic_shapes=(tuple({axis: torch.export.Dim.DYNAMIC for axis in tensor.free}
                              for tensor in graph.inputs), ))


def run(model: onnx.ModelProto, inputs: dict[str, Tensor]) -> list[np.ndarray]:
    """Return what ONNX Runtime computes on the CPU."""
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=['CPUExecutionProvider'])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


def _difference(graph: Graph, results: Sequence[np.ndarray],
                expected: Sequence[Tensor]) -> float:
    """Return the greatest difference.

    Raises:
        ValueError: it is `TOLERANCE` or more; says in how many values.
    """
    greatest = 0.
    for index, ours in enumerate(results):
        theirs = expected[index].numpy()
        apart = np.abs(ours - theirs)
        if graph.predicts != 'probabilities':
            apart = apart / np.maximum(np.abs(theirs), 1.)
        wrong = int((~(apart < TOLERANCE)).sum())
        if wrong:
            raise ValueError(
                f'ONNX Runtime and PyTorch differ by {apart.max():.2g} in '
                f'{("the prediction", "the uncertainty")[index]}, in {wrong} of '
                f'{apart.size} values by {TOLERANCE:g} or more; nothing is written')
        greatest = max(greatest, float(apart.max()))
    return greatest


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


def _name_axes(model: onnx.ModelProto, tensors: Sequence[Any]) -> None:
    """Give the free axes of inputs and outputs their names."""
    infos = {info.name: info for info in (*model.graph.input, *model.graph.output)}
    for tensor in tensors:
        for axis, name in tensor.free.items():
            infos[tensor.name].type.tensor_type.shape.dim[axis].dim_param = name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about itself off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(level)
