"""Command line of the synthetic nuScenes writer."""

import argparse
import os
import sys

from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.writer import write_synthetic_nuscenes


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'expected WIDTHxHEIGHT such as 480x270, got {text!r}') from None
    return width, height


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    make = argparse.ArgumentParser(
        prog='ddp-perception synthesize nuscenes',
        description='Write a synthetic data set in the on-disk format of '
        'nuScenes: tables, six cameras, LiDAR with sweeps, map expansion. '
        'nuscenes-devkit and mmdet3d open it like the real one. The same '
        'options always give the same bytes; a complete set is left alone '
        'and an interrupted one is continued.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = make.add_argument
    add('out', help='folder to write; empty, new, or an earlier run of this')
    add('--seed', type=int, default=Options.seed, help='of everything')
    add('--version', default=Options.version,
        choices=['v1.0-mini', 'v1.0-trainval'],
        help='whose scene names and splits to use; mini has up to 10 scenes')
    add('--scenes', type=int, default=Options.scenes,
        help='number of scenes, a fifth of them from the val split')
    add('--keyframes', type=int, default=Options.keyframes,
        help='key frames per scene, half a second apart')
    add('--image-size', type=_size, default=Options.image_size,
        metavar='WxH', help='pixels of each camera')
    add('--lidar-sweeps', type=int, default=Options.lidar_sweeps,
        help='LiDAR sweeps before each key frame (0 to 9)')
    add('--camera-sweeps', type=int, default=Options.camera_sweeps,
        help='pictures per camera between key frames (0 to 5); each costs as '
        'much as a key frame')
    add('--beams', type=int, default=Options.beams, help='LiDAR rings')
    add('--azimuths', type=int, default=Options.azimuths,
        help='LiDAR firings per turn')
    add('--jpeg-quality', type=int, default=Options.jpeg_quality,
        help='of the pictures, 1 to 100')
    add('--workers', type=int, default=max(1, min(8, os.cpu_count() or 1)),
        help='processes')
    add('--overwrite', action='store_true',
        help='replace a synthetic set that was made with other options')
    return make


def main(argv=None) -> int:
    """Run the command; returns the exit status."""
    args = vars(parser().parse_args(argv))
    try:
        out = write_synthetic_nuscenes(args.pop('out'), **args)
    except (ValueError, FileExistsError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'synthetic nuScenes ({args["version"]}) ready in {out}')
    return 0
