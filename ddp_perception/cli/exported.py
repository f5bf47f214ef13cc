"""Exported graphs on the command line and in `apis`."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import configuration
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
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


def without_single_steps(cfg: Config) -> None:
    """Leave out the metrics of single steps, which a graph does not give.

    Args:
        cfg: Its `test_evaluator` is changed.

    Raises:
        UserError: it measures nothing else.
    """
    metrics = configuration.evaluator_settings(cfg)
    kept = [metric for metric in metrics if metric.get('step') is None]
    if not kept:
        raise UserError('test_evaluator measures single steps alone; --onnx gives the '
                        'prediction after the last')
    if len(kept) < len(metrics):
        steps = [str(metric['step'] + 1) for metric in metrics if metric not in kept]
        print(f'not measured, as a graph does not give it: step {", ".join(steps)} '
              'alone')
        cfg.test_evaluator = kept


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
