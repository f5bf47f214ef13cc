"""Train many heads on one frozen encoder, and say which claims of diffusion hold.

The encoder of CHECKPOINT, a trained model with the plain head, runs once over the
training and the evaluation set. On its features heads alone are trained, one per
variant and seed, and evaluated in many ways. Every training is a line of
DIR/results.jsonl: an interrupted study goes on where it was. DIR/study.md has
claims, figures and whether they hold, DIR/samples.png pictures.
docs/study.md says how it works.

Examples:
  ddp-perception study drivable work_dirs/prior_conv/iter_620.pth \\
      --out work_dirs/study_drivable --jobs 2
  ddp-perception study camvid CHECKPOINT --out DIR --rows steps seeds
  ddp-perception study camvid random --out DIR --smoke
  ddp-perception study camvid --out DIR --page camvid.md
"""
from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
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
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    import torch
    from mmengine.config import Config

    from ddp_perception.study import FeatureStore, Job, Study
    from ddp_perception.study.encoding import Encoder

RANDOM = 'random'
_RESULTS = 'results.jsonl'
_SPLITS = {'train': 'train_dataloader', 'evaluation': 'test_dataloader'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('name', metavar='NAME',
                        help='which study: camvid, drivable or synthetic-map')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?',
                        help='trained model with the plain head of the study, or the '
                        f'word {RANDOM} for an encoder that has learned nothing; '
                        'without it, the page alone is written')
    parser.add_argument('--out', metavar='DIR', required=True,
                        help='folder of features, results, page and picture')
    parser.add_argument('--rows', nargs='+', metavar='ROW',
                        help='only the claims of these names (default: all)')
    parser.add_argument('--repeats', type=int, metavar='N',
                        help='trainings of each variant, of seeds one after another '
                        '(default: as many as the rows ask for, 3 or 1; 1 with '
                        '--smoke)')
    parser.add_argument('--seed', type=int, default=0, metavar='N',
                        help='the first of them; features are those of seed 0 always')
    parser.add_argument('--jobs', type=int, default=1, metavar='N',
                        help='trainings at once, each in a process of one thread '
                        '(default: one after another, with all threads)')
    arguments.add_device(parser)
    parser.add_argument('--smoke', action='store_true',
                        help='a few iterations on a few samples, in minutes: shows '
                        'that the study runs, and nothing else')
    parser.add_argument('--page', metavar='FILE', help='write the page there too')
    group = parser.add_argument_group('configuration')
    group.add_argument('--config', nargs=2, metavar=('PLAIN', 'DIFFUSION'),
                       help="configurations in the place of the study's own")
    group.add_argument('--data-root', metavar='DIR',
                       help='where the data set lies; replaces data_root '
                       'everywhere in the configurations')
    group.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
                       help='change single settings of the plain configuration')
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception.study import DamagedFile, OtherSettings, Results, run_jobs
    study = _study(args)
    folder = output_places.require_folder_place(args.out, '--out')
    if args.page:
        args.page = output_places.require_file_place(args.page, '--page')
    try:
        results = Results(folder / _RESULTS)
        if args.checkpoint is None:
            if not args.page:
                raise UserError('CHECKPOINT is missing; give the trained model with '
                                f'the plain head, the word {RANDOM}, or --page FILE '
                                'to write the page of what is there')
            _write_page(args, study, folder, results)
            return 0
        jobs = _jobs(args, study, folder)
        run_jobs(jobs, results, args.jobs, _say)
    except (DamagedFile, OtherSettings) as error:
        raise UserError(str(error)) from None
    _draw(study, folder, jobs)
    _write_page(args, study, folder, results)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _study(args: argparse.Namespace) -> Study:
    """Return the part of the study that is asked for.

    Raises:
        UserError: there is no such study or row, or a number is below 1.
    """
    from dataclasses import replace

    from ddp_perception.study import STUDIES
    if args.name not in STUDIES:
        raise UserError(f'there is no study {args.name!r}; there are '
                        f'{", ".join(STUDIES)}')
    for name, value in (('repeats', args.repeats), ('jobs', args.jobs)):
        if value is not None and value < 1:
            raise UserError(f'--{name} must be at least 1, got {value}')
    if args.seed < 0:
        raise UserError(f'--seed must be at least 0, got {args.seed}')
    study = STUDIES[args.name]
    if args.config:
        study = replace(study, plain=args.config[0], diffusion=args.config[1])
    try:
        return (study.smoke() if args.smoke else study).of_rows(args.rows)
    except ValueError as error:
        raise UserError(f'--rows: {error}') from None


def _jobs(args: argparse.Namespace, study: Study, folder: Path) -> list[Job]:
    """Make the features if they are not there, and return all trainings."""
    from mmengine.registry import init_default_scope

    from ddp_perception.cli.prediction import choose_device
    from ddp_perception.study import FeatureStore, Job
    from ddp_perception.study.settings import plain
    from ddp_perception.study.training import build_head
    cfg = configuration.load_config(study.plain, args.cfg_options, args.data_root)
    diffusion = configuration.load_config(study.diffusion, data_root=args.data_root)
    configuration.require_keys(cfg, study.plain, (
        'model', 'optim_wrapper', *_SPLITS.values()), 'studied')
    if args.checkpoint != RANDOM:
        checkpoint_checks.require_checkpoint(args.checkpoint)
    missing_data.require_info_files(cfg, list(_SPLITS.values()))
    runner.prepare_process(cfg, trusted=args.trust_checkpoint)
    device = choose_device(args.device)
    scope = cfg.get('default_scope', 'mmdet3d')
    init_default_scope(scope)  # of the data sets' steps
    store = FeatureStore(folder / 'features')
    made_by = _made_by(args, study, cfg)
    if store.exists:  # refuse before the model is built
        store.require(made_by)
    with build_errors.naming_settings(cfg, study.plain):
        evaluated = _dataset(cfg, 'evaluation')
        encoder = _encoder(args, study, cfg, evaluated.metainfo, device)
        if not store.exists:
            datasets = {'train': _dataset(cfg, 'train'), 'evaluation': evaluated}
            _encode(study, datasets, encoder, store, made_by)
    inputs = encoder.head_settings(store.split('train').features.shape[1])
    bases = {name: {**_head_of(settings), **inputs} for name, settings in (
        ('plain', cfg), ('diffusion', diffusion))}
    with build_errors.naming_settings(diffusion, study.diffusion):
        for item in study.variants:  # before the first of them is trained
            build_head(item.settings(bases), scope, args.seed)
    return [Job(item.name, args.seed + number, plain(item.settings(bases)),
                tuple(item.evaluations), encoder.task, study.iterations,
                study.batch_size, plain(cfg.optim_wrapper), scope, folder,
                1 if args.jobs > 1 else None, str(device))
            for number, item in study.trainings(args.repeats)]


def _made_by(args: argparse.Namespace, study: Study, cfg: Config) -> dict[str, Any]:
    """Return what the features depend on: settings, weights and data."""
    from ddp_perception.study.settings import fingerprint_of_files, plain
    datasets = {name: configuration.innermost_dataset(cfg[loader]['dataset'])
                for name, loader in _SPLITS.items()}
    roots = sorted({str(item['data_root']) for item in datasets.values()
                    if item.get('data_root')})
    # Where the data lie does not matter, what they are does.
    shown: Any = {
        name: {key: value for key, value in item.items() if key != 'data_root'}
        for name, item in plain(datasets).items()}
    return dict(
        study=study.name, model=plain(cfg.model), datasets=shown,
        data=fingerprint_of_files(*roots),
        checkpoint=RANDOM if args.checkpoint == RANDOM
        else fingerprint_of_files(checkpoint_checks.local_file(args.checkpoint)),
        views=study.views, train_samples=study.train_samples,
        evaluation_samples=study.evaluation_samples, truth_stride=study.truth_stride)


def _encoder(args: argparse.Namespace, study: Study, cfg: Config,
             metainfo: dict[str, Any], device: torch.device) -> Encoder:
    """Build the model with its weights; return what runs it up to its head."""
    import torch

    from ddp_perception.cli.prediction import build_model
    from ddp_perception.study.encoding import Encoder
    torch.manual_seed(0)
    model = build_model(cfg, device)
    if args.checkpoint != RANDOM:
        checkpoint_checks.load_weights(model, args.checkpoint, study.plain,
                                       args.trust_checkpoint)
    try:
        return Encoder(model, metainfo, study.truth_stride)
    except ValueError as error:
        raise UserError(f'{study.plain}: {error}') from None


def _dataset(cfg: Config, split: str) -> Any:
    from mmengine.registry import DATASETS

    from ddp_perception import registry  # noqa: F401  makes the types known
    settings = configuration.innermost_dataset(cfg[_SPLITS[split]]['dataset'])
    dataset = DATASETS.build(copy.deepcopy(dict(settings)))
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    return dataset


def _encode(study: Study, datasets: dict[str, Any], encoder: Encoder,
            store: FeatureStore, made_by: dict[str, Any]) -> None:
    try:
        store.write(datasets,
                    {'train': study.train_samples,
                     'evaluation': study.evaluation_samples},
                    {'train': study.views, 'evaluation': 1}, encoder, 0,
                    {'made_by': made_by}, _say)
    except ValueError as error:
        raise UserError(f'{study.plain}: {error}') from error


def _head_of(cfg: Config) -> dict[str, Any]:
    """Return the settings of a configuration's head."""
    from ddp_perception.study.settings import plain
    head = plain(configuration.head_settings(cfg))
    for kept in ('keep_steps', 'keep_seeds'):
        head.pop(kept, None)  # of samples, which a study has not
    return head


def _draw(study: Study, folder: Path, jobs: Sequence[Job]) -> None:
    """Draw samples of the first seed, where the part that is done has both heads."""
    from ddp_perception.checkpoints.reading import load_checkpoint_file
    from ddp_perception.study.pictures import save_samples
    from ddp_perception.study.training import build_head
    first = {job.variant: job for job in reversed(jobs)}
    if not set(study.pictured) <= first.keys():
        return
    heads = []
    for job in (first[name] for name in study.pictured):
        head = build_head(job.head, job.scope, job.seed)
        head.load_state_dict(load_checkpoint_file(job.weights))
        heads.append((head.eval(), study.variant(job.variant).label))
    job = jobs[0]
    diffusion, single = heads
    path = save_samples(folder / 'samples.png', job.task, diffusion, single,
                        job.features.split('evaluation'))
    _say(f'samples drawn to {path}')


def _write_page(args: argparse.Namespace, study: Study, folder: Path,
                results: Any) -> None:
    from ddp_perception.files import write_file
    from ddp_perception.study import study_page
    if not results.lines:
        raise UserError(f'{results.path} has no training yet')
    text = study_page(study, results.lines).encode()
    for path in (folder / 'study.md', *([args.page] if args.page else [])):
        _say(f'page written to {write_file(path, text)}')
