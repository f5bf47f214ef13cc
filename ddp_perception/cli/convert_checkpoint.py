"""Convert a checkpoint of another code base to a configuration of this one.

Takes the released checkpoints of DDP (segmentation, depth, nuScenes maps), MIT
BEVFusion's map segmentation, and, to initialise the shared parts of a model
that is to be trained, BEVFusion detection of MIT or of mmdet3d. Which one a
file is, is told by the names of its parameters. Nothing is written unless
every tensor is accounted for.

Examples:
  ddp-perception convert-checkpoint ddp-fusion-bev256d2-lss.pth fusion.pth \\
      --config projects/nuscenes_map_seg/configs/ddp_fusion_released_nus-map.py
  ddp-perception convert-checkpoint FILE OUT --config CONFIG --dry-run
"""
from __future__ import annotations

import argparse
import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import checkpoint_checks, configuration
from ddp_perception.cli.arguments import add_trust
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from ddp_perception.checkpoints.conversion import Conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('checkpoint', metavar='IN',
                        help='the checkpoint to convert')
    parser.add_argument('out', metavar='OUT', help='file to write')
    parser.add_argument('--config', required=True, metavar='CONFIG',
                        help='configuration that is to use it')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
                        help='change single settings of the configuration, e.g. '
                        '--cfg-options model.seg_head.decoder.time_conditioning=True')
    parser.add_argument('--dry-run', action='store_true',
                        help='list every tensor, and write nothing')
    parser.add_argument('--format', choices=['pth', 'safetensors'],
                        help="of the file (default: as OUT's name ends)")
    add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    import torch

    from ddp_perception import compat
    from ddp_perception.checkpoints import UnknownRelease, convert_state
    from ddp_perception.checkpoints.writing import write_checkpoint
    from ddp_perception.cli.prediction import build_model
    source = Path(args.checkpoint).expanduser()
    out = checkpoint_checks.require_output(args.out, source)
    state, meta = checkpoint_checks.read_state(source, args.trust_checkpoint)
    cfg = configuration.load_config(args.config, args.cfg_options)
    compat.load_checkpoints_safely(args.trust_checkpoint)
    model = build_model(cfg, torch.device('cpu'))
    try:
        conversion = convert_state(state, model)
    except UnknownRelease as error:
        raise UserError(f'{source} cannot be converted: {error}') from None
    if args.dry_run:
        print(_every_tensor(conversion, model))
    if conversion.problems:
        raise UserError(f'{source} does not fit {args.config}:\n' + '\n'.join(
            f'  {problem}' for problem in conversion.problems))
    print(_summary(conversion, source, model))
    if args.dry_run:
        print('dry run: nothing written')
        return 0
    file_format = args.format or (
        'safetensors' if out.suffix == '.safetensors' else 'pth')
    write_checkpoint(conversion.state, _meta(conversion, source, meta, args.config),
                     out, file_format)
    print(f'written to {out}')
    return 0


def _meta(conversion: Conversion, source: Path, meta: Mapping[str, Any],
          config: str) -> dict[str, Any]:
    """Say where the parameters come from, and keep what is known of them."""
    from ddp_perception import __version__
    digest = hashlib.sha256()
    with open(source, 'rb') as file:
        for block in iter(lambda: file.read(1 << 22), b''):
            digest.update(block)
    kept: dict[str, Any] = {
        key: meta[key] for key in ('epoch', 'iter')
        if isinstance(meta.get(key), int)}
    if classes := _names(meta.get('CLASSES')):
        kept['dataset_meta'] = dict(classes=classes)
        if palette := _colours(meta.get('PALETTE')):
            kept['dataset_meta']['palette'] = palette
    return dict(kept, converted_from=source.name, sha256=digest.hexdigest(),
                release=conversion.release.name, config=Path(config).name,
                complete=conversion.complete, ddp_perception_version=__version__)


def _names(value: Any) -> list[str]:
    """Return the classes that a file names; none where it holds something else."""
    listed = isinstance(value, (list, tuple)) and all(
        isinstance(name, str) for name in value)
    return list(value) if listed else []


def _colours(value: Any) -> list[list[int]]:
    try:
        return [[int(one) for one in colour] for colour in value]
    except (TypeError, ValueError, OverflowError):
        return []


def _every_tensor(conversion: Conversion, model: nn.Module) -> str:
    """Return a table of all tensors of the file, then those it lacks."""
    rows = [('in the file', 'shape', '', 'in the model', '')]
    rows += [(row.source, _shape(row.shape), row.action, row.target or '-', row.note)
             for row in conversion.rows]
    own = model.state_dict()
    rows += [('-', _shape(own[name].shape), 'missing', name, '')
             for name in conversion.missing]
    return _table(rows)


def _summary(conversion: Conversion, source: Path, model: nn.Module) -> str:
    """Return a table by part of the model, and what was left out and why."""
    parts: OrderedDict[str, list[int]] = OrderedDict()
    for name, value in model.state_dict().items():
        part, inner = name.split('.')[:2]
        if inner == 'diffusion':
            part += '.diffusion'
        count = parts.setdefault(part, [0, 0, 0])
        count[2] += 1
        if name in conversion.state:
            count[0] += 1
            count[1] += math.prod(value.shape)
    lines = [f'{source}: {conversion.release.name}', _table(
        [('part of the model', 'tensors', 'of', 'numbers')]
        + [(part, str(taken), str(total), f'{numbers:,}')
           for part, (taken, numbers, total) in parts.items()])]
    dropped = Counter(row.note for row in conversion.rows if row.action == 'dropped')
    for reason, times in dropped.items():
        names = [row.source for row in conversion.rows
                 if row.action == 'dropped' and row.note == reason]
        lines.append(f'left out {times}: {reason} ({", ".join(names[:2])}'
                     f'{", ..." if times > 2 else ""})')
    if conversion.missing:
        lines.append(f'{len(conversion.missing)} parameters of the model stay as they '
                     'are initialised: the file is to start a training from '
                     '(train --load-from)')
    return '\n'.join(lines)


def _shape(shape: Iterable[int]) -> str:
    return 'x'.join(map(str, shape)) or 'scalar'


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Align columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruled = [rows[0], ['-' * width for width in widths], *rows[1:]]
    return '\n'.join('  '.join(map(str.ljust, row, widths)).rstrip() for row in ruled)
