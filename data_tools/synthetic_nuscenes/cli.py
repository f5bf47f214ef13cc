"""Command line of the synthetic nuScenes writer."""
import argparse
from collections.abc import Sequence

from data_tools.synthetic import command
from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.writer import write_synthetic_nuscenes


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    make = command.base_parser(
        'nuscenes', 'Write a synthetic data set in the on-disk format of '
        'nuScenes: tables, six cameras, LiDAR with sweeps, map expansion. '
        'nuscenes-devkit and mmdet3d open it like the real one.', Options)
    add = make.add_argument
    add('--version', default=Options.version,
        choices=['v1.0-mini', 'v1.0-trainval'],
        help='whose scene names and splits to use; mini has up to 10 scenes')
    add('--scenes', type=int, default=Options.scenes,
        help='number of scenes, a fifth of them from the val split')
    add('--keyframes', type=int, default=Options.keyframes,
        help='key frames per scene, half a second apart')
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
    return make


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), write_synthetic_nuscenes,
                       'synthetic nuScenes', argv)
