"""Say what a prediction costs: parameters, operations and seconds of each part.

The input is the configuration's test data, the first samples of which are loaded
before the clock starts; or, for segmentation and depth, an image of noise of a given
size, which goes through the configuration's test pipeline and needs no data. One sample
at a time. Without CHECKPOINT the weights are random, which costs the same but for heads
whose work depends on what they find (boxes).

Operations (GFLOPs) are those of torch's convolutions and matrix products, two for each
multiplication with its sum; sparse convolutions, the sampling of deformable attention,
pooling, norms and activations are not counted. The whole includes what lies between the
parts. Seconds of the whole: median, least and most of all calls. The last line is
JSON.

Examples:
  ddp-perception benchmark CONFIG --image-size 1024 2048
  ddp-perception benchmark CONFIG CHECKPOINT --data-root /data/nuscenes \\
      --num-steps 10 --samples 8
"""
from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddp_perception.cli import arguments
from ddp_perception.cli.errors import UserError, described

if TYPE_CHECKING:
    import torch
    from mmengine.config import Config

    from ddp_perception.cost import Cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?',
                        help='file of train or convert-checkpoint (default: random '
                        'weights)')
    parser.add_argument('--image-size', type=int, nargs=2, metavar=('H', 'W'),
                        help='measure on one image of noise of this size, in pixels '
                        'before the test pipeline')
    parser.add_argument('--samples', type=int, default=4, metavar='N',
                        help='of the test data (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=5, metavar='N',
                        help='timed calls for each sample (default: %(default)s)')
    parser.add_argument('--out', metavar='FILE', help='write the JSON to a file too')
    arguments.add_device(parser)
    arguments.add_sampling(parser)
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    from ddp_perception import compat
    from ddp_perception.cli import (
        build_errors,
        checkpoint_checks,
        configuration,
        operators,
        output_places,
        prediction,
    )
    from ddp_perception.cost import cost_of
    from ddp_perception.datasets.bounded_files import bound_local_files
    from ddp_perception.datasets.sample_errors import name_damaged_files
    from ddp_perception.files import write_file
    bound_local_files()
    name_damaged_files()
    for name in ('samples', 'rounds'):
        if getattr(args, name) < 1:
            raise UserError(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.image_size and min(args.image_size) < 1:
        raise UserError('--image-size must be at least 1 1, got '
                        f'{" ".join(map(str, args.image_size))}')
    cfg = configuration.load_config(args.config, args.cfg_options, args.data_root)
    configuration.require_keys(cfg, args.config, ['model', 'test_dataloader'],
                               'measured')
    if args.checkpoint:
        checkpoint_checks.require_checkpoint(args.checkpoint)
    if args.out:
        args.out = output_places.require_file_place(args.out, '--out')
    compat.load_checkpoints_safely(args.trust_checkpoint)
    compat.load_pickles_safely()
    configuration.set_sampling(cfg, arguments.sampling_changes(args))
    device = prediction.choose_device(args.device)
    with build_errors.naming_settings(cfg, args.config):
        inputs, what = _inputs(args, cfg)
        model = prediction.build_model(cfg, device)
        operators.require_operators(model)
        if args.checkpoint:
            checkpoint_checks.load_weights(model, args.checkpoint, args.config,
                                           args.trust_checkpoint)
        cost = cost_of(model, inputs, args.rounds)
    content = {'configuration': args.config, 'cfg_options': args.cfg_options,
               'checkpoint': args.checkpoint, 'input': what, **_machine(device),
               'decoder_passes': _passes(model), **cost.content()}
    line = json.dumps(content)
    if args.out:
        write_file(args.out, line.encode() + b'\n')
    _print(cost, content)
    print(line)
    return 0


def _inputs(args: argparse.Namespace, cfg: Config) -> tuple[list[Any], str]:
    """Return batches of one sample, and what they are in words."""
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, init_default_scope

    from ddp_perception.cli import image_prediction, missing_data, sample_input
    from ddp_perception.wording import counted
    init_default_scope(cfg.get('default_scope', 'mmdet3d'))
    images = sample_input.input_kind(cfg) == sample_input.IMAGES
    if args.image_size and not images:
        raise UserError('--image-size: the test pipeline of this configuration does '
                        'not start from a single image; it is measured on its test '
                        'data')
    if args.image_size:
        height, width = args.image_size
        load = image_prediction.build_pipeline(cfg)
        what = f'an image of noise, {height} x {width}'
        sample = _loaded(_noise_image, (load, height, width), what)
        return [pseudo_collate([sample])], what
    try:
        missing_data.require_info_files(cfg, ['test_dataloader'])
    except UserError as error:
        raise UserError(f'{error}' + (
            '\n  Without data, --image-size H W measures on an image of noise.'
            if images else '')) from None
    settings = next(sample_input.test_datasets(cfg))
    if images:  # without the truth, and without the views of test-time augmentation
        frames = DATASETS.build({**settings, 'pipeline': []})
        load = image_prediction.build_pipeline(cfg)

        def read(index: int) -> Any:
            return load({'img_path': frames.get_data_info(index)['img_path'],
                         'seg_fields': []})
    else:
        frames = DATASETS.build(settings)
        read = frames.__getitem__
    samples = [_loaded(read, (index,), f'sample {index} of the test data')
               for index in range(min(args.samples, len(frames)))]
    if not samples:
        raise UserError('the data set of test_dataloader has no sample')
    return ([pseudo_collate([sample]) for sample in samples],
            f'{counted(len(samples), "samples")} of the test data')


def _loaded(read: Callable, arguments: tuple, what: str) -> Any:
    """Call what loads a sample; wrong files and sizes become messages."""
    try:
        return read(*arguments)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f'{what} cannot be loaded: {described(error)}') from error


def _noise_image(load: Any, height: int, width: int) -> Any:
    import numpy as np
    from PIL import Image
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'noise.png')
        Image.fromarray(pixels).save(path, compress_level=0)
        return load({'img_path': str(path), 'seg_fields': []})


def _machine(device: torch.device) -> dict[str, Any]:
    import torch
    if device.type == 'cuda':
        return {'device': torch.cuda.get_device_name(device)}
    return {'device': device.type, 'threads': torch.get_num_threads()}


def _passes(model: torch.nn.Module) -> dict[str, dict[str, int]]:
    from ddp_perception.prediction_heads import heads_by_field
    return {field: head.passes for field, head in heads_by_field(model).items()}


def _print(cost: Cost, content: Mapping[str, Any]) -> None:
    from terminaltables import AsciiTable

    from ddp_perception.evaluation.passes import describe_passes
    rows = [['part', 'parameters, M', 'GFLOPs', 'seconds']]
    whole = content['seconds']['whole']
    for name, parameters in cost.parameters.items():
        seconds = whole['median'] if name == 'whole' else cost.seconds.get(name)
        rows.append([name, f'{parameters / 1e6:.3f}',
                     *('' if value is None else f'{value:.4g}'
                       for value in (cost.gflops.get(name), seconds))])
    threads = f', {content["threads"]} threads' if 'threads' in content else ''
    print(f'{AsciiTable(rows).table}\n{content["input"]}, one at a time, on '
          f'{content["device"]}{threads}\nseconds of the whole: median '
          f'{whole["median"]:.4g}, {whole["least"]:.4g} to {whole["most"]:.4g}, of '
          f'{whole["calls"]} calls')
    for field, passes in content['decoder_passes'].items():
        print(f'decoder passes of {field}: {describe_passes(**passes)}')
