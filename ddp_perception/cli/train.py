"""Train a model from a configuration.

Progress with the time left, losses and figures appear in the terminal and in
the work directory (default: work_dirs/<name of the configuration>), where the
checkpoints lie too.

Examples:
  ddp-perception train \\
      projects/kitti_depth/configs/ddp_swin-t_8xb2-38k_kitti-352x704.py \\
      --auto-scale-lr                             (one GPU)
  ddp-perception train CONFIG --data-root /data/nuscenes --amp --seed 0
  ddp-perception train CONFIG --resume            (go on after an interruption)
  torchrun --nproc-per-node=8 -m ddp_perception.cli train CONFIG \\
      --launcher pytorch --amp                    (eight GPUs)
"""
from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ddp_perception import compat
from ddp_perception.cli import (
    arguments,
    build_errors,
    checkpoint_checks,
    compiled,
    configuration,
    learning_rate,
    missing_data,
    published_weights,
    runner,
    training_state,
)
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    parser.add_argument('--work-dir', metavar='DIR',
                        help='where logs and checkpoints go')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='FILE',
                        help='go on from FILE, or from the last checkpoint in '
                        'the work directory')
    parser.add_argument('--load-from', metavar='FILE',
                        help='start from the weights in FILE as far as they '
                        'fit (a detection checkpoint, say), from iteration 0')
    parser.add_argument('--amp', action='store_true',
                        help='mixed precision: float16 on a GPU, bfloat16 on '
                        'a CPU')
    arguments.add_compile(parser)
    parser.add_argument('--tensorboard', action='store_true',
                        help='write TensorBoard events into the work '
                        'directory')
    parser.add_argument('--wandb', action='store_true',
                        help='log to Weights & Biases too; where and how is said '
                        "by wandb's own variables (WANDB_PROJECT, "
                        'WANDB_MODE=offline)')
    parser.add_argument('--deterministic', action='store_true',
                        help='choose cuDNN algorithms that repeat exactly')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate with the total batch '
                        "size, as the configuration's auto_scale_lr says")
    arguments.add_seed(parser)
    arguments.add_trust(parser)
    arguments.add_distributed(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    if args.resume and args.load_from:
        raise UserError('--resume goes on with a run and --load-from begins '
                        'one; give only one of them')
    cfg = configuration.load_config(args.config, args.cfg_options,
                                    args.data_root)
    configuration.require_keys(
        cfg, args.config,
        ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'), 'trained')
    configuration.default_work_dir(cfg, args.config, args.work_dir)
    missing_data.require_info_files(cfg, ['train_dataloader', 'val_dataloader'])
    _set_start(cfg, args)
    if args.seed is not None or args.deterministic:
        randomness = dict(cfg.get('randomness') or {})
        if args.seed is not None:
            randomness['seed'] = args.seed
        randomness['deterministic'] = args.deterministic
        cfg.randomness = randomness
    if args.amp:
        configuration.use_amp(cfg)
    for tracker in ('tensorboard', 'wandb'):
        if getattr(args, tracker):
            configuration.use_tracker(cfg, tracker)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError('--auto-scale-lr needs auto_scale_lr = '
                            'dict(base_batch_size=N) in the configuration')
        cfg.auto_scale_lr.enable = True
    configuration.make_resumable(cfg)
    configuration.share_buffers(cfg)
    configuration.report_passes(cfg)
    runner.prepare_process(cfg, args.launcher, args.local_rank,
                           args.trust_checkpoint)
    with build_errors.naming_settings(cfg, args.config):
        run_ = runner.build_runner(cfg)
        _check_start(run_, cfg, args)
        if args.compile:
            compiled.compile_heads(runner.bare_model(run_))
        run_.train()
    run_.logger.info(f'checkpoints and logs are in {run_.work_dir}')
    compat.leave_distributed()
    return 0


def _check_start(run_: Runner, cfg: Config, args: argparse.Namespace) -> None:
    """Refuse a checkpoint that does not fit, before training starts from it."""
    from ddp_perception.cli import operators
    model = runner.bare_model(run_)
    operators.require_operators(model)
    if cfg.get('resume'):
        checkpoint_checks.require_resumable(model, cfg.load_from, args.config,
                                            args.trust_checkpoint)
        training_state.name_odd_states(run_, cfg.load_from)
        published_weights.leave_out_filled(model, missing=())
    elif cfg.get('load_from'):
        difference = checkpoint_checks.require_overlap(
            model, cfg.load_from, args.config, args.trust_checkpoint)
        run_.logger.info(f'starting from {cfg.load_from}:\n{difference}')
        published_weights.leave_out_filled(model, difference.not_filled)
    published_weights.explain_failures(model)
    if args.auto_scale_lr:
        learning_rate.scale_schedule(run_)
    elif not cfg.get('resume'):
        mismatch = learning_rate.describe_mismatch(run_, args.cfg_options)
        if mismatch:
            run_.logger.warning(mismatch)


def _set_start(cfg: Config, args: argparse.Namespace) -> None:
    """Decide which checkpoint training starts from, if any."""
    if args.load_from:
        checkpoint_checks.require_checkpoint(args.load_from)
        cfg.load_from, cfg.resume = args.load_from, False
        return
    wanted = args.resume
    if not wanted and cfg.get('resume'):  # as the configuration says
        wanted = cfg.get('load_from') or 'auto'
    latest = wanted
    if wanted == 'auto':
        latest = checkpoint_checks.latest_checkpoint(
            cfg.work_dir, args.trust_checkpoint)
    elif wanted:
        checkpoint_checks.require_checkpoint(wanted)
    if wanted and not latest:
        begin = (f'starting from {cfg.load_from}' if cfg.get('load_from')
                 else 'starting anew')
        print(f'no checkpoint in {cfg.work_dir} yet: {begin}')
    if latest:
        cfg.load_from = str(latest)
    elif cfg.get('load_from'):
        checkpoint_checks.require_checkpoint(cfg.load_from)
    cfg.resume = bool(latest)
