"""Export a model as ONNX, and check that ONNX Runtime computes the same.

The graph holds the network with its head and every step of the sampler, in
standard operations alone. Beside OUT.onnx, OUT.json describes its inputs and
outputs. Nothing is written unless ONNX Runtime agrees with PyTorch to 1e-4 on an
example. Operations that TensorRT lacks are named. docs/deployment.md shows how to
run the file.

With --parts there are three graphs, for a loop of your own over the steps: any
number of them, until a result is stable, for several draws of noise.
OUT_features.onnx runs once for each input, OUT_step.onnx at each step,
OUT_output.onnx at the end; OUT.json describes them.

Models: maps of ddp.BEVFusion and ddp.MapPriorSegmentor, segmentation and depth of
images. Voxels and calibration are prepared outside of the graph, and a sparse LiDAR
encoder stays outside: its BEV map is an input.

Examples:
  ddp-perception export CONFIG CHECKPOINT map.onnx
  ddp-perception export CONFIG CHECKPOINT street.onnx --image-size 512 1024
  ddp-perception export CONFIG CHECKPOINT map.onnx --num-steps 1 --constant-noise
  ddp-perception export CONFIG CHECKPOINT map.onnx --parts
"""
from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ddp_perception.cli import arguments
from ddp_perception.cli.errors import UserError

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    arguments.add_config(parser)
    arguments.add_checkpoint(parser)
    parser.add_argument('out', metavar='OUT.onnx', help='file to write')
    parser.add_argument('--parts', action='store_true',
                        help='write features, one step and output as graphs of their '
                        'own: OUT_features.onnx, OUT_step.onnx, OUT_output.onnx')
    parser.add_argument('--constant-noise', action='store_true',
                        help='keep the noise of --seed in the graph (default: it is '
                        'an input)')
    parser.add_argument('--image-size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'),
                        help='of the prepared images, for segmentation and depth '
                        '(default: the window of a test that slides)')
    parser.add_argument('--cameras', type=int, default=6, metavar='N',
                        help='cameras of the example; the graph takes any number '
                        '(default: %(default)s)')
    parser.add_argument('--sample', metavar='FILE.npz',
                        help="write the example's inputs and what PyTorch makes of "
                        'them too, to check the file where it is to run')
    parser.add_argument('--opset', type=int, metavar='N',
                        help='of ONNX, 18 at least (default: 18)')
    arguments.add_sampling(parser)
    arguments.add_seed(parser)
    arguments.add_trust(parser)


def run(args: argparse.Namespace) -> int:
    """Run this sub-command."""
    import numpy as np

    from ddp_perception.cli import output_places
    from ddp_perception.cli.exported import class_names
    from ddp_perception.export.writing import (
        OPSET,
        export_graph,
        export_parts,
        graph_of,
        preprocessing_of,
        weights_digest,
    )
    from ddp_perception.files import whole_file
    out = output_places.require_file_place(args.out, 'OUT')
    if out.suffix != '.onnx':
        raise UserError(f'OUT must end with .onnx, got {out}')
    sample = None if args.sample is None else output_places.require_file_place(
        args.sample, '--sample')
    if sample is not None and sample.suffix != '.npz':
        raise UserError(f'--sample must end with .npz, got {sample}')
    if args.cameras < 2:
        raise UserError(f'--cameras must be at least 2, got {args.cameras}')
    opset = OPSET if args.opset is None else args.opset
    if opset < OPSET:
        raise UserError(f'--opset must be at least {OPSET}, got {opset}')
    if args.parts and args.constant_noise:
        raise UserError('--constant-noise keeps the noise in a graph; of --parts it is '
                        'the z of the first step')
    model = _load_model(args)
    export = export_parts if args.parts else export_graph
    try:
        graph = graph_of(model, constant_noise=args.constant_noise,
                         image_size=args.image_size, cameras=args.cameras)
        out.parent.mkdir(parents=True, exist_ok=True)
        exported = export(
            graph, out, opset=opset, classes=class_names(model),
            preprocessing=preprocessing_of(model), weights=weights_digest(model))
    except ValueError as error:
        message = str(error).replace('image_size is needed', '--image-size is needed')
        raise UserError(f'{args.config} cannot be exported: {message}') from error
    if sample is not None:
        with whole_file(sample) as part, open(part, 'wb') as file:
            np.savez(file, **{name: value.numpy()
                              for name, value in exported.sample.items()})
    files = [out.name] if not args.parts else [
        part['file'] for part in exported.description['parts'].values()]
    print(f'{", ".join(files)} in {out.parent}: ONNX Runtime agrees with PyTorch to '
          f'{exported.difference:.1e} '
          f'{"of the metres" if graph.predicts == "metres" else "in probability"}')
    print('TensorRT has every operation' if not exported.unsupported else
          f'TensorRT lacks {", ".join(exported.unsupported)}')
    print(f'{out.with_suffix(".json")} describes inputs and outputs')
    return 0


def _load_model(args: argparse.Namespace) -> BaseModel:
    from ddp_perception import compat
    from ddp_perception.cli import (
        build_errors,
        checkpoint_checks,
        configuration,
        prediction,
    )
    from ddp_perception.datasets.bounded_files import bound_local_files
    cfg = configuration.load_config(args.config, args.cfg_options)
    configuration.require_keys(cfg, args.config, ['model'], 'exported')
    checkpoint_checks.require_checkpoint(args.checkpoint)
    compat.load_checkpoints_safely(args.trust_checkpoint)
    compat.load_pickles_safely()
    bound_local_files()
    with build_errors.naming_settings(cfg, args.config):
        configuration.set_sampling(cfg, arguments.sampling_changes(args), args.seed)
        model = prediction.load_model(cfg, prediction.choose_device('cpu'),
                                      args.checkpoint, args.config,
                                      args.trust_checkpoint)
    model.cfg = cfg
    return model
