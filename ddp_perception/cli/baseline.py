"""Evaluate the best depth map that ignores its image: what a model must beat.

It is each pixel's median over the configuration's training data, and is evaluated on
its test data by the range and the crop of its ddp.KITTIDepthMetric. A pixel without a
training return takes the median of all returns in its row, and in a row without any
that of all returns; with --fallback nearest, that of the nearest pixel with a median.
No image is read.

Examples:
  ddp-perception baseline CONFIG
  ddp-perception baseline CONFIG --data-root /data/kitti_drive --out baseline.json
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import (
    arguments,
    build_errors,
    configuration,
    missing_data,
    output_places,
    runner,
)
from ddp_perception.cli.errors import UserError
from ddp_perception.cli.truth_only import build_datasets, loading_steps
from ddp_perception.files import write_file

if TYPE_CHECKING:
    from mmengine.config import Config

_METRIC = 'KITTIDepthMetric'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    parser.add_argument('--fallback', choices=('row', 'nearest'), default='row',
                        help='what a pixel without a training return takes (default: '
                        '%(default)s)')
    parser.add_argument('--out', metavar='FILE',
                        help='write the figures to a JSON file too')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    cfg = configuration.load_config(args.config, args.cfg_options, args.data_root)
    configuration.require_keys(
        cfg, args.config, ('train_dataloader', 'test_dataloader', 'test_evaluator'),
        'evaluated')
    if args.out:
        args.out = output_places.require_file_place(args.out, '--out')
    missing_data.require_info_files(cfg, ['train_dataloader', 'test_dataloader'])
    runner.prepare_process(cfg)
    with build_errors.naming_settings(cfg, args.config):
        figures, counts = median_depth_figures(cfg, args.fallback)
    print(f"Each pixel's median depth in {counts['train_samples']} frames of training, "
          f'on {counts["val_samples"]} test frames:')
    for name, value in figures.items():
        print(f'  {name:10}{value:.4f}')
    if args.out:
        record = {'configuration': args.config, 'cfg_options': args.cfg_options,
                  'fallback': args.fallback, **counts, 'metrics': figures}
        path = write_file(args.out, json.dumps(record, indent=1,
                                               sort_keys=True).encode() + b'\n')
        print(f'figures written to {path}')
    return 0


def median_depth_figures(cfg: Config, fallback: str = 'row'
                         ) -> tuple[dict[str, float], dict[str, int]]:
    """Evaluate each pixel's median depth of training on the test data.

    Args:
        cfg: The configuration.
        fallback: See `pixel_median_depth`.

    Returns:
        The nine measures, see `depth_measures`; ``train_samples`` and
        ``val_samples``.

    Raises:
        UserError: the configuration is not one of depth.
    """
    import ddp_perception  # noqa: F401  makes the ddp types known
    from ddp_perception.evaluation.constant_depth import (
        evaluate_constant_depth,
        iter_depths,
        pixel_median_depth,
    )
    from ddp_perception.registry import METRICS
    metric = METRICS.build(_depth_metric(cfg))
    train, test = build_datasets(cfg)
    load = loading_steps(cfg, 'LoadKITTIDepth', 'KBCrop')
    median = pixel_median_depth(iter_depths(train, load), fallback=fallback)
    return evaluate_constant_depth(
        median, iter_depths(test, load), metric.min_depth_eval, metric.max_depth_eval,
        metric.crop), dict(train_samples=len(train), val_samples=len(test))


def _depth_metric(cfg: Config) -> Mapping[str, Any]:
    settings = configuration.evaluator_settings(cfg)
    for metric in settings:
        if configuration.bare_name(metric) == _METRIC:
            return metric
    names = ', '.join(str(metric['type']) for metric in settings)
    raise UserError(f'the baseline is one of depth: the test_evaluator must be '
                    f'ddp.{_METRIC}, got {names}')
