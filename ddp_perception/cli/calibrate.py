"""Fit the temperature of a trained diffusion head, and store it with the model.

It divides the head's logits, so that its probabilities say how often it is right
(Guo et al., arXiv:1706.04599): the temperature of least NLL on a split, best one
that the model was not trained on and is not to be judged by. Classes that exclude
each other get one, overlapping map classes one each. The most probable class, and
decisions at probability 0.5, stay as they are; any other threshold comes to mean
something else.

With --offsets each class gets one beside it, for data on which classes are rarer or
more frequent than in training, another city, say. They move decisions, and with them
IoU.

Samples are loaded as in evaluation, without augmentation, training data too. NLL
and ECE, before and after, are those of all cells of the split; the temperature is
fitted to a random part of each sample's cells.

Examples:
  ddp-perception calibrate CONFIG CHECKPOINT --out calibrated.pth
  ddp-perception calibrate CONFIG CHECKPOINT --split train --samples 200 \\
      --out calibrated.pth --data-root /data/cityscapes
  ddp-perception calibrate CONFIG CHECKPOINT --offsets --out calibrated.pth
"""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import (
    arguments,
    build_errors,
    checkpoint_checks,
    configuration,
    missing_data,
    runner,
    split_loader,
)
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch.utils.data import DataLoader

    from ddp_perception.cli.temperature_fit import Calibration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    parser.add_argument('--out', required=True, metavar='FILE',
                        help='checkpoint to write: the parameters of CHECKPOINT and '
                        'the temperature, without the state of its training')
    parser.add_argument('--offsets', action='store_true',
                        help='fit an offset of each class too; decisions move')
    parser.add_argument('--split', choices=split_loader.SPLITS, default='val',
                        help='fit to the data of this dataloader of the '
                        'configuration (default: %(default)s)')
    parser.add_argument('--samples', type=int, metavar='N',
                        help='only N samples, spread over the split (default: all)')
    parser.add_argument('--cells-per-sample', type=int, default=20000, metavar='N',
                        help='cells of each sample to fit to, drawn at random; fewer '
                        'where 2^28 scores would be passed in all, which take 1 GiB '
                        '(default: %(default)s)')
    arguments.add_device(parser)
    arguments.add_sampling(parser)
    arguments.add_seed(parser)
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception.cli import operators, prediction
    from ddp_perception.cli.temperature_fit import calibrate_head, calibrated_head
    for name in ('samples', 'cells_per_sample'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f'--{name.replace("_", "-")} must be at least 1, got '
                            f'{value}')
    cfg = configuration.load_config(args.config, args.cfg_options, args.data_root)
    loader_name = f'{args.split}_dataloader'
    configuration.require_keys(cfg, args.config, ('model', loader_name), 'calibrated')
    if configuration.bare_model_settings(cfg) is not cfg.model:
        raise UserError(f'{args.config} averages augmented views of each sample; '
                        'calibrate with the configuration of the model itself')
    checkpoint_checks.require_checkpoint(args.checkpoint)
    out = checkpoint_checks.require_output(args.out, args.checkpoint, '--out')
    missing_data.require_info_files(cfg, [loader_name])
    configuration.set_sampling(cfg, arguments.sampling_changes(args), args.seed)
    runner.prepare_process(cfg, trusted=args.trust_checkpoint)
    with build_errors.naming_settings(cfg, args.config):
        model = prediction.build_model(cfg, prediction.choose_device(args.device))
        place, head = calibrated_head(model, args.config)
        operators.require_operators(model)
        checkpoint_checks.load_weights(model, args.checkpoint, args.config,
                                       args.trust_checkpoint)
        loader = split_loader.split_loader(cfg, args.split, args.samples)
        _report_split(cfg, args, loader)
        result = calibrate_head(model, head, loader, args.cells_per_sample,
                                offsets=args.offsets)
    print(result.table())
    for warning in result.warnings():
        print(f'warning: {warning}')
    if args.offsets:
        print('note: offsets move decisions; `test` says what that does to the IoU')
    elif len(result.groups) > 1:
        print('note: decisions at 0.5 are the same ones; those at any other threshold, '
              'and IoU over several thresholds, are not')
    _write(args, out, f'{place}.calibration.', head, result)
    print(f'written to {out}')
    return 0


def _report_split(cfg: Config, args: argparse.Namespace, loader: DataLoader) -> None:
    """Say what is fitted to, and what that means for later figures."""
    count = len(loader.dataset)  # type: ignore[arg-type]  # it is sized
    print(f'fitting to {count} samples of {args.split}_dataloader; the '
          'figures below are those of the same samples')
    if split_loader.is_random(loader):
        print('warning: the pipeline has random steps; the temperature is that of '
              'samples changed in this way')
    if args.split == 'test' or split_loader.same_data(
            cfg, f'{args.split}_dataloader', 'test_dataloader'):
        print('warning: these are the data of test_dataloader: calibration figures of '
              '`test` on them will be better than on unseen data. Fit to another split')
    if args.split == 'train':
        print('note: if the model was trained on these, it is surer of them than of '
              'other data; a split of its own gives a better temperature')


def _write(args: argparse.Namespace, out: Path, prefix: str, head: Any,
           result: Calibration) -> None:
    """Write the checkpoint with the calibration, and how it was found."""
    from ddp_perception.checkpoints.writing import write_checkpoint
    state, meta = checkpoint_checks.read_state(args.checkpoint, args.trust_checkpoint)
    for name in head.calibration.optional_state():
        state.pop(f'{prefix}{name}', None)
    state |= {f'{prefix}{name}': value.cpu().clone()
              for name, value in head.calibration.state_dict().items()}
    meta['calibration'] = dict(
        result.record(), config=Path(args.config).name, split=args.split,
        cells_per_sample=args.cells_per_sample, decoder_passes=head.passes)
    write_checkpoint(state, meta, out,
                     'safetensors' if out.suffix == '.safetensors' else 'pth')
