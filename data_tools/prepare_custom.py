"""Check a folder with the frames of your own rig, before anything is trained.

docs/own_data.md describes the folder. Run "ddp-perception prepare custom FOLDER".
It reads every list of frames (--frames, by default each .json of the folder that is
one), checks every field, looks for the files that the frames name, opens the header
of each image, reads the maps, and prints what there is. Nothing is written but, with
--pictures, a picture of the first frame of each list: its cameras with the LiDAR
points in them around its map. Look at it: a wrong extrinsic or axis shows there.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ddp_perception.checkpoints.refusals import open_regular
from ddp_perception.datasets.bev_dataset import EGO_FROM_BEV, require_on_maps
from ddp_perception.datasets.bev_frames import (
    FORMAT,
    frame_name,
    map_sources,
    read_frames,
)
from ddp_perception.datasets.geojson_map import class_layers
from ddp_perception.datasets.image_header import read_image_size
from ddp_perception.datasets.kitti_splits import first_of
from ddp_perception.datasets.map_rasterizer import MapRasterizer
from ddp_perception.ops import Axis
from ddp_perception.progress import hides_bar
from ddp_perception.wording import counted

GRID = (-50., 50., .5)
"""Along x and y; of the shares that are printed and of the pictures."""
MOST_MASKS = 100
"""Frames, spread evenly, that the shares are those of."""


def check_list(path: str | Path, root: str | Path, progress: bool = True
               ) -> dict[str, Any]:
    """Check a list of frames and the files that it names.

    Args:
        path: The list.
        root: Folder that its paths are relative to.
        progress: Show a bar.

    Returns:
        content (see `read_frames`); sizes, the (width, height) that the images of
        each camera have, by camera; points, the sum over all clouds; shares, by
        class the share of cells of `GRID`, None without maps; wrong, a sentence per
        file that is missing or no such file; notes, a sentence per camera whose
        principal point is far from the middle of its images.

    Raises:
        FileNotFoundError, ValueError: see `read_frames` and `require_on_maps`.
    """
    content = read_frames(path)
    sources = map_sources(content, root)
    require_on_maps(content['frames'], sources)
    report: dict[str, Any] = dict(content=content, sizes={}, points=0, wrong=[],
                                  notes={})
    for index, frame in enumerate(tqdm(content['frames'], desc=Path(path).name,
                                       unit='frame',
                                       disable=hides_bar(progress))):
        name = frame_name(content['frames'], index)
        for camera, record in frame['cameras'].items():
            field = f'{name}: cameras.{camera}'
            try:
                size = read_image_size(Path(root, record['image']))
            except (OSError, ValueError) as error:
                report['wrong'].append(f'{field}.image: {error}')
                continue
            report['sizes'].setdefault(camera, set()).add(size)
            for note in _odd_centre(record['intrinsics'], size):
                report['notes'].setdefault(camera, f'{field}.intrinsics: {note}')
        if frame.get('lidar'):
            try:
                report['points'] += _count_points(Path(root, frame['lidar']['points']),
                                                  frame['lidar']['values'])
            except (OSError, ValueError) as error:
                report['wrong'].append(f'{name}: lidar.points: {error}')
    report['notes'] = list(report['notes'].values())
    report['shares'] = _shares(content, sources)
    return report


def find_lists(root: Path) -> list[Path]:
    """Return the lists of frames of a folder: JSON files that say so.

    Raises:
        FileNotFoundError: there is none.
    """
    found = []
    for path in sorted(root.glob('*.json')):
        with suppress(OSError, ValueError), open_regular(path) as file:
            if FORMAT.encode() in file.read(10_000):
                found.append(path)
    if not found:
        raise FileNotFoundError(
            f'{root} has no list of frames: a .json file that begins with '
            f'"format": "{FORMAT}"; docs/own_data.md describes it')
    return found


def draw_first_frame(path: Path, root: Path, folder: Path) -> Path:
    """Draw the first frame of a list that was checked.

    Args:
        path: The list.
        root: Folder that its paths are relative to.
        folder: Where the picture goes, as <list>.png.
    """
    import torch
    from mmdet3d.structures import Det3DDataSample
    from mmengine.structures import PixelData

    from ddp_perception.datasets import BEVDataset
    from ddp_perception.visualization import frame_from_sample, save_frame
    content = read_frames(path)
    first, classes = content['frames'][0], content['classes']
    steps: list[dict] = [dict(type='ddp.LoadMultiViewImages',
                              cameras=list(first['cameras']))
                         ] if first['cameras'] else []
    dataset = BEVDataset(root, path.absolute(), [
        *steps, dict(type='ddp.LoadBEVMasks', xbound=GRID, ybound=GRID,
                     classes=classes, optional=True)])
    results = dataset[0]
    masks = results.get('gt_masks_bev')
    if masks is None:
        cells = Axis.of(GRID, 'GRID').cells
        masks = np.zeros((len(classes), cells, cells), np.uint8)
    sample = Det3DDataSample(metainfo={
        key: results[key] for key in ('token', 'scene_name', 'map_location',
                                      'camera_names', 'img_path', 'lidar2img',
                                      'lidar_path', 'num_pts_feats', 'lidar2sensor')
        if results.get(key) is not None})
    sample.gt_map_seg = PixelData(data=torch.from_numpy(masks))
    return save_frame(frame_from_sample(sample, classes,
                                        dataset.metainfo['map_palette'], GRID, GRID),
                      folder / f'{path.stem}.png')


def _odd_centre(intrinsics: list, size: tuple[int, int]) -> Iterator[str]:
    """Say where the principal point is not in the middle half of the image."""
    centre = np.array(intrinsics, float)[:2, 2]
    if (np.abs(centre / size - .5) > .25).any():
        yield (f'the principal point ({centre[0]:.1f}, {centre[1]:.1f}) is far from '
               f'the middle of the image of {size[0]} x {size[1]} pixels; are the '
               'intrinsics those of another size?')


def _count_points(path: Path, values: int) -> int:
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing')
    size, record = os.path.getsize(path), 4 * values
    if size % record:
        raise ValueError(f'{path} holds {size} bytes, expected a multiple of {record} '
                         f'({values} float32 per point)')
    return size // record


def _shares(content: dict, sources: dict) -> dict[str, float] | None:
    """Return the mean share of cells that each class has."""
    frames = [frame for frame in content['frames'] if frame.get('map') is not None]
    if not frames:
        return None
    chosen = np.linspace(0, len(frames) - 1, min(MOST_MASKS, len(frames))).astype(int)
    classes = content['classes']
    draw = MapRasterizer(GRID, GRID, classes, class_layers(classes))
    total = np.zeros(len(classes))
    for frame in (frames[index] for index in chosen):
        total += sources[frame['map']].load().masks(
            draw, np.array(frame['ego2global'], float) @ EGO_FROM_BEV).mean((1, 2))
    return dict(zip(classes, (total / len(chosen)).tolist(), strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('root', metavar='FOLDER', type=Path,
                        help='the paths in the lists of frames are relative to it')
    parser.add_argument('--frames', type=Path, metavar='FILE', nargs='+', default=[],
                        help='lists of frames to check (default: those of FOLDER)')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help='draw the first frame of each list')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    try:
        if not args.root.is_dir():
            raise FileNotFoundError(f'{args.root} is not a folder')
        lists = [path if path.is_file() else args.root / path
                 for path in args.frames] or find_lists(args.root)
        good = [_tell(path, check_list(path, args.root)) for path in lists]
        if args.pictures and all(good):
            for path in lists:
                print(f'picture: {draw_first_frame(path, args.root, args.pictures)}')
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0 if all(good) else 1


def _tell(path: Path, report: dict) -> bool:
    """Print a report; return whether the list can be used."""
    frames = report['content']['frames']
    scenes = {frame.get('scene') for frame in frames} - {None}
    print(f'{path}: {counted(len(frames), "frames")} of '
          f'{counted(len(scenes), "scenes")}')
    for camera, sizes in report['sizes'].items():
        print(f'  camera {camera}: '
              + ', '.join(f'{width} x {height}' for width, height in sorted(sizes)))
    first = frames[0].get('lidar')
    if first:
        print(f'  lidar: {report["points"] / len(frames):,.0f} points a frame, '
              f'{first["values"]} values each')
    if report['shares'] is None:
        print('  no maps: for prediction alone')
    for name, share in (report['shares'] or {}).items():
        print(f'  class {name}: {share:.1%} of 100 m x 100 m around the vehicle')
    for note in report['notes']:
        print(f'note: {path}: {note}', file=sys.stderr)
    if report['wrong']:
        print(f'error: {path}: {counted(len(report["wrong"]), "files")} missing or '
              f'faulty:{first_of(report["wrong"])}', file=sys.stderr)
    return not report['wrong']
