"""Exported graphs on the command line and in `apis`."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def class_names(model: Any) -> list[str]:
    """Return the classes that a model with a configuration predicts; none of depth."""
    from ddp_perception.cli.image_prediction import read_metainfo
    head = getattr(model, 'seg_head', None) or getattr(model, 'decode_head', None)
    if classes := getattr(head, 'classes', None):
        return list(classes)
    if getattr(head, 'prediction_field', '') != 'pred_sem_seg':
        return []
    return list(read_metainfo(model.cfg).get('classes') or [])


def require_graph_alone(args: argparse.Namespace) -> None:
    """Raise UserError where --onnx and --compile were both given."""
    if args.onnx is not None and args.compile:
        raise UserError('--compile and --onnx replace the same part; give one of them')


def attach_graph(model: BaseModel, path: str | Path) -> None:
    """Let an exported graph predict in place of a model's own modules.

    Raises:
        UserError: the file is missing, cannot be read, or does not fit the model.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path} does not exist')
    try:
        from ddp_perception.export.runtime import LoadedGraph, run_in_onnx
    except ModuleNotFoundError as error:
        if error.name not in ('onnx', 'onnxruntime'):
            raise
        raise UserError(f'an exported graph needs {error.name}: '
                        'pip install onnx onnxruntime') from None
    try:
        run_in_onnx(model, LoadedGraph(path, error=UserError))
    except ValueError as error:
        raise UserError(f'{path} cannot be used: {error}') from error
