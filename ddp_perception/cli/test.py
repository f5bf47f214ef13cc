"""Evaluate a checkpoint on the test data of a configuration.

That is what its test_dataloader reads; in most of ours, the validation split.

Prints what the configuration's test_evaluator measures, and how many decoder
passes of a diffusion head the figures average:
  maps          IoU of each class at every threshold, mean of the best
  segmentation  IoU and accuracy of each class, and their means
  depth         nine measures, among them abs rel, RMSE and delta 1

Examples:
  ddp-perception test CONFIG CHECKPOINT
  ddp-perception test CONFIG CHECKPOINT --onnx map.onnx
  ddp-perception test CONFIG CHECKPOINT --data-root /data/kitti \\
      --num-steps 10 --out figures.json --show-dir pictures
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddp_perception import compat
from ddp_perception.cli import (
    arguments,
    build_errors,
    checkpoint_checks,
    compiled,
    configuration,
    curve_pictures,
    missing_data,
    output_places,
    runner,
)
from ddp_perception.cli.errors import UserError
from ddp_perception.files import write_file

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    parser.add_argument('--work-dir', metavar='DIR', help='where logs go')
    parser.add_argument('--out', metavar='FILE',
                        help='write the figures, and what they were measured '
                        'with, to a JSON file too')
    parser.add_argument('--show-dir', metavar='DIR',
                        help='draw prediction, truth, error and uncertainty of '
                        'some samples into a folder')
    parser.add_argument('--show-limit', type=int, default=20, metavar='N',
                        help='how many samples, spread over the split '
                        '(default: %(default)s)')
    parser.add_argument('--confusion', metavar='FILE.png',
                        help='draw which class is predicted where another is true, '
                        'of labels or map classes; the counts go to FILE.json')
    arguments.add_onnx(parser)
    arguments.add_compile(parser)
    arguments.add_sampling(parser)
    arguments.add_seed(parser)
    arguments.add_trust(parser)
    arguments.add_distributed(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception.cli import exported, operators
    exported.require_graph_alone(args)
    cfg = configuration.load_config(args.config, args.cfg_options,
                                    args.data_root)
    configuration.require_keys(
        cfg, args.config,
        ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'), 'tested')
    checkpoint_checks.require_checkpoint(args.checkpoint)
    if args.onnx is not None:
        exported.without_single_steps(cfg)
    if args.out:
        args.out = output_places.require_file_place(args.out, '--out')
    if args.confusion:
        _add_confusion(cfg, args.confusion)
    if args.show_dir:
        output_places.require_folder_place(args.show_dir, '--show-dir')
    configuration.default_work_dir(cfg, args.config, args.work_dir)
    missing_data.require_info_files(cfg, ['test_dataloader'])
    configuration.set_sampling(cfg, arguments.sampling_changes(args), args.seed)
    if args.seed is not None:
        cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': args.seed}
    if args.show_dir:
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), {
            'type': 'ddp.PictureHook', 'out_dir': args.show_dir,
            'limit': args.show_limit}]
    configuration.report_passes(cfg)
    cfg.load_from, cfg.resume = None, False
    runner.prepare_process(cfg, args.launcher, args.local_rank,
                           args.trust_checkpoint)
    with build_errors.naming_settings(cfg, args.config):
        run_ = runner.build_runner(cfg)
        model = runner.bare_model(run_)
        if args.confusion:
            _require_classes(model)
        operators.require_operators(model)
        checkpoint_checks.load_weights(model, args.checkpoint, args.config,
                                       args.trust_checkpoint)
        if args.compile:
            compiled.compile_heads(model)
        if args.onnx is not None:
            exported.attach_graph(model, args.onnx)
        run_.logger.info(f'weights of {args.checkpoint}')
        figures = run_.test()
    if args.out and run_.rank == 0:
        path = write_file(args.out, json.dumps(
            _record(args, model, figures), indent=1, sort_keys=True).encode() + b'\n')
        run_.logger.info(f'figures written to {path}')
    if run_.rank == 0:
        for picture in curve_pictures.draw_curves(run_.test_evaluator.metrics):
            run_.logger.info(f'picture of a metric: {picture}')
    compat.leave_distributed()
    return 0


def _add_confusion(cfg: Config, place: str) -> None:
    """Let the test count what is confused with what.

    Raises:
        UserError: no PNG file can be written there.
    """
    path = output_places.require_file_place(place, '--confusion')
    if path.suffix != '.png':
        raise UserError(f'--confusion must name a .png file, got {place}')
    cfg.test_evaluator = [*configuration.evaluator_settings(cfg), dict(
        type='ddp.ConfusionMetric', counts_file=str(path.with_suffix('.json')))]


def _require_classes(model: nn.Module) -> None:
    """Raise UserError where the model is known to predict no classes."""
    from ddp_perception.prediction_heads import heads_of
    predicted = [head.prediction_field for head in heads_of(model)]
    if predicted and not {'pred_map_seg', 'pred_sem_seg'} & set(predicted):
        raise UserError('--confusion is for labels or map classes; the model predicts '
                        f'{", ".join(predicted)}')


def _record(args: argparse.Namespace, model: nn.Module,
            figures: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures and what they were measured with."""
    from ddp_perception.prediction_heads import heads_by_field
    heads = heads_by_field(model)
    return {'configuration': args.config, 'cfg_options': args.cfg_options,
            'checkpoint': args.checkpoint, 'onnx': args.onnx,
            'decoder_passes': {field: head.passes for field, head in heads.items()},
            'mean_steps': {field: head.step_count.mean for field, head in heads.items()
                           if getattr(head, 'step_count', None)
                           and head.step_count.images},
            'metrics': {name: float(value) for name, value in figures.items()}}
