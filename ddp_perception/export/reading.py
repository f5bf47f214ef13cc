"""Open an exported graph that somebody else may have made."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from ddp_perception.checkpoints.file_sizes import require_bounded_file
from ddp_perception.export.writing import METADATA

KEYS = ('kind', 'inputs', 'weights')


def open_graph(path: str | Path, options: onnxruntime.SessionOptions
               ) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """Check a file, and let ONNX Runtime read it.

    Weights in other files are refused, wherever these lie: we write none.

    Args:
        path: ONNX file of `export_graph`.
        options: of the session.

    Returns:
        The session on the CPU, and what the file says of itself.

    Raises:
        ValueError: the file is too large, no regular file, no ONNX, has weights in
            other files, or was not written by `export_graph`.
    """
    require_bounded_file(path)
    content = Path(path).read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as problem:  # protobuf's and Python's have no common base but this
        raise ValueError(f'{path} cannot be read as ONNX: {problem}') from problem
    for tensor in _constants(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError(f'{path} has the weights {tensor.name!r} in another file; '
                             'a graph of ddp-perception export has all of them in it')
    description = _description(model, path)
    try:
        session = onnxruntime.InferenceSession(content, options,
                                               providers=['CPUExecutionProvider'])
    except Exception as problem:  # as above
        raise ValueError(f'{path} cannot be read as ONNX: {problem}') from problem
    return session, description


def _constants(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield the constants of a model, however deep in its graphs and functions."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs += [attribute.g, *attribute.graphs]


def _description(model: onnx.ModelProto, path: str | Path) -> dict[str, Any]:
    found = {entry.key: entry.value for entry in model.metadata_props}.get(METADATA)
    if found is None:
        raise ValueError(f'{path} was not written by ddp-perception export')
    try:
        description = json.loads(found)
        if description.get('kind') == 'parts':
            return description  # whoever asks for a whole graph is told
        missing = [key for key in KEYS if key not in description]
        names = [one['name'] for one in description['inputs']] if not missing else []
        shapes = [list(one['shape']) for one in description['inputs']] if names else []
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise ValueError(f'{path}: its description {METADATA} is damaged: '
                         f'{problem!r}') from problem
    given = [one.name for one in model.graph.input]
    if missing or names != given or not all(shapes):
        raise ValueError(f'{path}: its description {METADATA} must have {list(KEYS)} '
                         f'and the inputs {given}, got the inputs {names}')
    return description
