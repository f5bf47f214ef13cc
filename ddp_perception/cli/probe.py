"""Say what the diffusion of a trained head contributes to its predictions.

Runs the head in several ways over the configuration's test data, evaluates
each with its test_evaluator, and prints a table and a verdict:
  steps          1 to 10 steps; "n steps" is a run with num_steps=n
  zeros          a run that starts from zeros in place of noise
  feedback       a run that is fed the map of another image at each step
  seeds          how far 4 noise maps lead to other decisions
  noised truth   one step from the truth at t = 0.9 ... 0.02, against one step
                 from the noise of that time alone
docs/probe.md says how to read it. Backbone and neck run once per sample. One
process; batch size and workers change nothing but the speed.

Examples:
  ddp-perception probe CONFIG CHECKPOINT --out probe.json
  ddp-perception probe CONFIG CHECKPOINT --data-root /data/kitti \\
      --limit 100 --metric rmse --less
"""
from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import (
    arguments,
    build_errors,
    checkpoint_checks,
    configuration,
    missing_data,
    output_places,
    runner,
)
from ddp_perception.cli.errors import UserError, described

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.evaluator import Evaluator
    from mmengine.runner import Runner
    from torch.utils.data import DataLoader

    from ddp_perception.probing import Figure, Probe, ProbeResult

_ORDER_SEED = 0
_WRITTEN = ('curves_file', 'output_dir')  # by metrics, beside their figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    parser.add_argument('--work-dir', metavar='DIR', help='where logs go')
    parser.add_argument('--out', metavar='FILE',
                        help='write all figures to a JSON file, and a picture '
                        'beside it (FILE.png for FILE.json)')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='probe N samples, spread over the split (default: all)')
    group = parser.add_argument_group('what is varied')
    group.add_argument('--steps', type=int, nargs='+', metavar='N',
                       default=[*range(1, 11)],
                       help='numbers of steps (default: 1 to 10)')
    group.add_argument('--num-seeds', type=int, default=4, metavar='N',
                       help='noise maps that are compared (default: %(default)s)')
    group.add_argument('--no-oracle', action='store_true',
                       help='leave out the steps from the noised truth')
    group = parser.add_argument_group('what is looked at')
    group.add_argument('--metric', metavar='NAME',
                       help='figure of the table and the verdict (default: save_best '
                       "of the configuration's checkpoint hook, mean IoU or abs rel "
                       'where there is one, or the first)')
    rule = group.add_mutually_exclusive_group()
    rule.add_argument('--less', action='store_const', const='less', dest='rule',
                      help='less of it is better (default: as the checkpoint hook '
                      'would have it)')
    rule.add_argument('--greater', action='store_const', const='greater', dest='rule',
                      help='more of it is better')
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception.cli import operators
    from ddp_perception.probing import Probe, ProbeOptions, probe_table, sentences
    cfg = configuration.load_config(args.config, args.cfg_options, args.data_root)
    configuration.require_keys(
        cfg, args.config,
        ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'), 'probed')
    if args.limit is not None and args.limit < 1:
        raise UserError(f'--limit must be at least 1, got {args.limit}')
    try:
        options = ProbeOptions(args.steps, num_seeds=args.num_seeds,
                               oracle=not args.no_oracle)
    except ValueError as error:
        raise UserError(f'--{error}'.replace('_', '-', 1)) from None
    checkpoint_checks.require_checkpoint(args.checkpoint)
    if args.out:
        args.out = output_places.require_file_place(args.out, '--out')
        if args.out.suffix.lower() == '.png':
            raise UserError(f'--out {args.out}: name the file of figures, such as '
                            f'{args.out.stem}.json; the picture is written beside it')
    configuration.default_work_dir(cfg, args.config, args.work_dir)
    missing_data.require_info_files(cfg, ['test_dataloader'])
    cfg.load_from, cfg.resume = None, False
    runner.prepare_process(cfg, trusted=args.trust_checkpoint)
    with build_errors.naming_settings(cfg, args.config):
        run_ = runner.build_runner(cfg)
        model = runner.bare_model(run_)
        _require_no_views(run_, args.config)
        operators.require_operators(model)
        try:
            probe = Probe(model, options)
        except ValueError as error:
            raise UserError(f'{args.config}: {error}') from None
        checkpoint_checks.load_weights(model, args.checkpoint, args.config,
                                       args.trust_checkpoint)
        result = _probe(args, cfg, run_, probe)
    run_.logger.info(f'Probe of {probe.head.prediction_field}, {result.samples} '
                     f'samples\n{probe_table(result)}\n' + '\n'.join(sentences(result)))
    return 0


def _require_no_views(run_: Runner, path: str) -> None:
    from mmengine.model import BaseTTAModel
    if isinstance(run_.model, BaseTTAModel):
        raise UserError(
            f'{path} averages several views of an image '
            f'({type(run_.model).__name__}); probe the model alone: a configuration '
            'without test-time augmentation fits the same checkpoint')


def _probe(args: argparse.Namespace, cfg: Config, run_: Runner,
           probe: Probe) -> ProbeResult:
    """Run all variations; write the file."""
    from mmengine.runner.amp import autocast

    from ddp_perception.engine.quiet import quiet
    from ddp_perception.probing import ProbeResult, UnknownTruth
    loader = _loader(cfg, run_, args.limit)
    total = len(loader.dataset)  # type: ignore[arg-type]
    hook = _checkpoint_hook(cfg)
    evaluators = {item.key: _evaluator(cfg, run_, loader) for item in probe.variations}
    trial = _evaluator(cfg, run_, loader)
    done, shown = 0, 0
    for batch in loader:
        try:
            with autocast(enabled=bool((cfg.test_cfg or {}).get('fp16', False))):
                if not done:
                    _try_out(args, probe, batch, trial, run_.logger, hook)
                done += probe.process(batch, evaluators)
        except UnknownTruth as error:
            raise UserError(f'{error}; --no-oracle leaves out what needs the truth'
                            ) from None
        if done * 10 // total > shown:
            shown = done * 10 // total
            run_.logger.info(f'{done} of {total} samples')
    with quiet(run_.logger):
        figures = {key: {name: float(value) for name, value
                         in evaluator.evaluate(total).items()}
                   for key, evaluator in evaluators.items()}
    figure = _figure(args, figures['steps_1'], hook)
    result = ProbeResult(
        figure, probe.measured(figures), total, probe.head.outcome.unit,
        {'configuration': args.config, 'cfg_options': args.cfg_options,
         'checkpoint': args.checkpoint, 'head': probe.head.prediction_field,
         'decoder_passes': probe.head.passes})
    if args.out:
        _write(args.out, result, run_.logger)
    return result


def _loader(cfg: Config, run_: Runner, limit: int | None) -> DataLoader:
    """Load the test data in an order that puts unlike samples side by side.

    Consecutive frames of a drive look alike; the image before shall be another.
    """
    import torch
    from mmengine.registry import DATASETS
    from torch.utils.data import Subset
    settings = cfg.test_dataloader
    dataset = DATASETS.build(settings['dataset'])
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if not len(dataset):
        raise UserError('the data set of test_dataloader has no sample')
    count = min(limit or len(dataset), len(dataset))
    chosen = [index * len(dataset) // count for index in range(count)]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(_ORDER_SEED))
    part: Any = Subset(dataset, [chosen[index] for index in order])
    part.metainfo = getattr(dataset, 'metainfo', None)
    return run_.build_dataloader({**settings, 'dataset': part}, seed=run_.seed)


def _evaluator(cfg: Config, run_: Runner, loader: DataLoader) -> Evaluator:
    """Build the configuration's evaluator.

    Metrics of single steps are left out: not every variation has that step. So are
    the files of metrics: those of an odd variation would replace those of `test`.
    """
    evaluator = run_.build_evaluator(
        [{key: value for key, value in metric.items() if key not in _WRITTEN}
         for metric in configuration.evaluator_settings(cfg)
         if metric.get('step') is None])
    evaluator.dataset_meta = loader.dataset.metainfo  # type: ignore[attr-defined]
    return evaluator


def _try_out(args: argparse.Namespace, probe: Probe, batch: Mapping[str, Any],
             evaluator: Evaluator, logger: logging.Logger,
             hook: Mapping[str, Any]) -> None:
    """Find out with the first batch what would only show at the end.

    Raises:
        UnknownTruth: the truth cannot be had.
        UserError: the evaluator has not the figure that was asked for, or
            needs more than every variation has.
    """
    from ddp_perception.engine.quiet import quiet
    _, samples = next(probe.predictions(batch))
    try:
        evaluator.process(data_samples=samples, data_batch=batch)
    except ValueError as error:  # an uncertainty over passes, say
        raise UserError(f'the test_evaluator cannot take a run of one step: {error}; '
                        'leave that metric out of the configuration') from error
    try:
        with quiet(logger):
            figures = evaluator.evaluate(len(samples))
    except Exception as error:  # a metric may want the whole split
        if args.limit is not None:
            raise UserError('the test_evaluator does not evaluate a part of the data '
                            f'({described(error)}): leave --limit out, or the metric '
                            'out of the configuration') from error
        return
    _figure(args, figures, hook)


def _figure(args: argparse.Namespace, figures: Mapping[str, float],
            hook: Mapping[str, Any]) -> Figure:
    """Return the figure that counts.

    Raises:
        UserError: there is none of that name, or it is not known whether more
            of it is better.
    """
    from ddp_perception.probing import Figure, first_choice, rule_of
    if args.metric is not None and args.metric not in figures:
        raise UserError(f'--metric {args.metric} is not among the figures of '
                        f'test_evaluator: {", ".join(figures)}')
    try:
        name = args.metric or first_choice(figures, hook.get('save_best'))
        return Figure(name, args.rule or rule_of(name, hook))
    except ValueError as error:
        raise UserError(f'{error} Say --less or --greater.') from None


def _checkpoint_hook(cfg: Config) -> dict[str, Any]:
    """Return the settings of the hook that saves the best checkpoint."""
    hook = dict((cfg.get('default_hooks') or {}).get('checkpoint') or {})
    if isinstance(hook.get('save_best'), (list, tuple)):
        rules = hook.get('rule')
        hook.update(save_best=hook['save_best'][0],
                    rule=rules[0] if isinstance(rules, (list, tuple)) else rules)
    return hook


def _write(path: Path, result: ProbeResult, logger: logging.Logger) -> None:
    from ddp_perception.evaluation.sample_fields import write_curves
    from ddp_perception.visualization.probe import save_probe
    content = result.content()
    file = write_curves(path, content)
    picture = save_probe(content, path.with_suffix('.png'))
    logger.info(f'figures written to {file}, picture to {picture}')
