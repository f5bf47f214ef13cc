"""A graph as ONNX, and how far ONNX Runtime and PyTorch are apart on it."""
from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor
from torch._dynamo.exc import UserError as NotFree

from ddp_perception.export.graph import GraphTensor, TensorGraph
from ddp_perception.export.tensorrt import unsupported_operations

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Traced:
    """A graph as ONNX.

    Attributes:
        model: the ONNX.
        inputs: with the example's values.
        outputs: with what PyTorch computed of them.
        unsupported: operations that TensorRT lacks.
    """

    model: onnx.ModelProto
    inputs: list[GraphTensor]
    outputs: list[GraphTensor]
    unsupported: list[str]

    def record(self) -> dict[str, Any]:
        """Return what a reader in another language needs."""
        return dict(inputs=[one.record() for one in self.inputs],
                    outputs=[one.record() for one in self.outputs])

    def sample(self) -> dict[str, Tensor]:
        """Return the example's inputs and outputs by name."""
        return {one.name: one.sample for one in (*self.inputs, *self.outputs)}

    def difference(self, absolute: bool) -> float:
        """Run the graph; see `greatest_difference`."""
        results = run(self.model, {one.name: one.sample for one in self.inputs})
        return greatest_difference(self.outputs, results, absolute)


def trace(graph: TensorGraph, opset: int) -> Traced:
    """Return a graph as valid ONNX.

    The exporter is the one that builds on `torch.export`: a branch on a value is
    an error there rather than a wrong graph, and axes that are free stay free. The
    older one (``dynamo=False``) records one run, in which sizes are tensors: it
    fails on these models, at their checks of sizes and at ``full_like``.

    Args:
        graph: its number of items becomes fixed where it cannot be free.
        opset: of ONNX.

    Raises:
        onnx.checker.ValidationError: it is none.
    """
    with torch.no_grad(), _quiet():
        try:
            program = _program(graph)
        except NotFree:  # some backbones compute with the number of images
            if not graph.fix_batch():
                raise
            program = _program(graph)
        outputs = graph.outputs(graph(*(one.sample for one in graph.inputs)))
        onnx_program = torch.onnx.export(
            program, dynamo=True, opset_version=opset, verbose=False,
            input_names=[tensor.name for tensor in graph.inputs],
            output_names=[tensor.name for tensor in outputs])
    assert onnx_program is not None
    model = onnx_program.model_proto
    _name_axes(model, [*graph.inputs, *outputs])
    onnx.checker.check_model(model, full_check=True)
    return Traced(model, graph.inputs, outputs, unsupported_operations(model))


def _program(graph: TensorGraph) -> torch.export.ExportedProgram:
    return torch.export.export(
        graph, tuple(tensor.sample for tensor in graph.inputs), strict=False,
        dynamic_shapes=(tuple({axis: torch.export.Dim.DYNAMIC for axis in tensor.free}
                              for tensor in graph.inputs), ))


def run(model: onnx.ModelProto, inputs: dict[str, Tensor]) -> list[np.ndarray]:
    """Return what ONNX Runtime computes on the CPU."""
    return start_session(model).run(
        None, {name: value.numpy() for name, value in inputs.items()})


def start_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return a session on the CPU."""
    return onnxruntime.InferenceSession(model.SerializeToString(),
                                        providers=['CPUExecutionProvider'])


def greatest_difference(outputs: Sequence[GraphTensor], results: Sequence[np.ndarray],
                        absolute: bool) -> float:
    """Return the greatest difference.

    Args:
        outputs: what PyTorch computed.
        results: what ONNX Runtime did.
        absolute: whether values are compared as they are, rather than those above
            1 by their size.

    Raises:
        ValueError: it is `TOLERANCE` or more; says in how many values.
    """
    greatest = 0.
    for output, ours in zip(outputs, results, strict=True):
        theirs = output.sample.numpy()
        apart = np.abs(ours - theirs)
        if not absolute:
            apart = apart / np.maximum(np.abs(theirs), 1.)
        wrong = int((~(apart < TOLERANCE)).sum())
        if wrong:
            raise ValueError(
                f'ONNX Runtime and PyTorch differ by {apart.max():.2g} in '
                f'{output.name}, in {wrong} of {apart.size} values by {TOLERANCE:g} or '
                'more; nothing is written')
        greatest = max(greatest, float(apart.max()))
    return greatest


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
