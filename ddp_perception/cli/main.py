"""Choose a sub-command and run it."""
import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from ddp_perception import __version__
from ddp_perception.cli.errors import UserError

COMMANDS = {
    'prepare': ('data_tools.prepare', 'complete and check a data set that you have'),
    'synthesize': ('data_tools.synthesize', 'write a small synthetic data set'),
    'browse': ('ddp_perception.cli.browse',
               'draw what the pipeline of a configuration loads, as augmented'),
    'train': ('ddp_perception.cli.train', 'train a model from a configuration'),
    'test': ('ddp_perception.cli.test',
             "evaluate a checkpoint on the configuration's test data"),
    'baseline': ('ddp_perception.cli.baseline',
                 "evaluate each pixel's median depth of training, without a model"),
    'calibrate': ('ddp_perception.cli.calibrate',
                  'fit the temperature of a trained head, for truer probabilities'),
    'probe': ('ddp_perception.cli.probe',
              "what a head's diffusion contributes: steps, seeds, feedback"),
    'study': ('ddp_perception.cli.study',
              'whether diffusion earns its steps: claims, trainings, verdicts'),
    'predict': ('ddp_perception.cli.predict',
                'predict and draw: maps of frames, labels or depth of images'),
    'benchmark': ('ddp_perception.cli.benchmark',
                  'what a prediction costs: parameters, operations, seconds'),
    'export': ('ddp_perception.cli.export',
               'write a model as ONNX, for ONNX Runtime and TensorRT'),
    'report': ('ddp_perception.cli.report', 'write one HTML page about a run'),
    'convert-checkpoint': ('ddp_perception.cli.convert_checkpoint',
                           'convert a released checkpoint (DDP, BEVFusion)'),
    'demo': ('demos.nuscenes_map',
             'all of it on a CPU in minutes: synthesize, train, test, predict'),
    'demo-cityscapes': ('demos.cityscapes', 'the same for segmentation of images'),
    'demo-kitti': ('demos.kitti', 'the same for depth of images'),
    'demo-joint': ('demos.joint',
                   'the same with a detector of mmdet3d: boxes and map together'),
}
"""Module and summary of each command.

A module has ``add_arguments(parser)`` and ``run(args)``, which returns an exit
status; its docstring is the help. Only the chosen one is imported, by its name:
those of `demos` stand above this package and those of `data_tools` beside it.
"""

EXTRAS = 'pip install "ddp_perception[all]"'

EPILOG = """\
a first run on your own nuScenes (or cityscapes, kitti):
  ddp-perception prepare nuscenes /data/nuscenes --version v1.0-mini
  ddp-perception train CONFIG --data-root /data/nuscenes
  ddp-perception test CONFIG CHECKPOINT --data-root /data/nuscenes
  ddp-perception predict CONFIG CHECKPOINT /data/nuscenes --out maps
CONFIG is a file of projects/*/configs, its name alone (demo_fusion_cpu), or a
file of your own. With one of segmentation or depth, predict takes an image or a
folder of images in place of the data set.
"ddp-perception COMMAND --help" explains each. With DDP_TRACEBACK=1 in the
environment, an error shows where it comes from too.
"""


def top_parser() -> argparse.ArgumentParser:
    """Return the parser that lists the sub-commands."""
    parser = argparse.ArgumentParser(
        prog='ddp-perception', usage='ddp-perception COMMAND ...',
        description="Diffusion dense heads for mmdet3d and mmseg: bird's-eye-view "
        'maps (nuScenes),\nsegmentation (Cityscapes, ADE20K) and depth (KITTI) of '
        'images.\n\ncommands:\n' + ''.join(
            f'  {name:20}{summary}\n'
            for name, (_, summary) in COMMANDS.items()),
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', metavar='COMMAND', choices=COMMANDS,
                        help=argparse.SUPPRESS)
    parser.add_argument('--version', action='version',
                        version=f'ddp_perception {__version__}')
    return parser


def command_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """Return the parser of one sub-command."""
    parser = argparse.ArgumentParser(
        prog=f'ddp-perception {name}', description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments, by default the process's own.

    Returns:
        Exit status; 2 where the user can set something right.
    """
    # Before torch loads OpenMP: threads that wait by spinning take the cores
    # from the workers that load data.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    # For formats whose header we cannot read; OpenCV's own bound is 2^30.
    os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(200_000_000))
    argv = list(sys.argv[1:] if argv is None else argv)
    name = top_parser().parse_args(argv[:1] or ['--help']).command
    try:
        module = importlib.import_module(COMMANDS[name][0])
        return module.run(command_parser(name, module).parse_args(argv[1:])) or 0
    except UserError as error:
        if os.environ.get('DDP_TRACEBACK'):
            traceback.print_exc()
        print(f'ddp-perception {name}: error: {error}', file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(
                ('ddp_perception', 'data_tools', 'demos')):
            raise
        print(f'ddp-perception {name}: error: the package {error.name!r} is '
              'missing; this command needs more than the core. Install it, or '
              f'all of them with  {EXTRAS}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ninterrupted', file=sys.stderr)
        return 130


def run_process() -> NoReturn:
    """Run the command line as a process of its own: what the shell starts."""
    from ddp_perception.compat import end_process
    end_process(main())


if __name__ == '__main__':
    run_process()
