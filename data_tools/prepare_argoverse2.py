"""Turn logs of the Argoverse 2 sensor data set into frames that we read.

Run "ddp-perception prepare argoverse2 ROOT FOLDER", where ROOT holds train, val and
test, or the logs of one split, as they were downloaded. FOLDER then is a folder of
your own data as docs/own_data.md describes it:
  train.json, ...     a list of frames per split: every fifth sweep (--every), the ring
                      cameras, and for each camera the image nearest in time
  maps/<log>.geojson  drivable_area and ped_crossing as areas; divider: the lane
                      boundaries that are painted
  points/<log>/       sweeps as float32 x, y, z (ego frame), intensity (0 to 255)
  images/<log>        a link to the cameras' folder of that log
Needs Argoverse's package: pip install "av2" "pyarrow<26" (a later pyarrow wants
numpy 2).
"""
from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from tqdm import tqdm

from ddp_perception.cli.errors import UserError
from ddp_perception.datasets.bev_frames import FORMAT
from ddp_perception.files import write_file
from ddp_perception.progress import hides_bar

if TYPE_CHECKING:
    from av2.map.lane_segment import LaneSegment
    from av2.map.map_api import ArgoverseStaticMap

CLASSES = ('drivable_area', 'ped_crossing', 'divider')
CAMERAS = ('ring_front_center', 'ring_front_right', 'ring_front_left',
           'ring_side_right', 'ring_side_left', 'ring_rear_right', 'ring_rear_left')
POSES = 'city_SE3_egovehicle.feather'
VALUES = ('x', 'y', 'z', 'intensity')
LATEST = 100_000_000
"""Nanoseconds between a sweep and a camera's image: the time of one sweep."""
EVERY = 5
"""Of the 10 sweeps a second; two frames a second, as nuScenes has."""
_UNPAINTED = ('NONE', 'UNKNOWN')
"""Lane marks, as Argoverse's enumeration names them."""


def prepare(root: str | Path, folder: str | Path, every: int = EVERY,
            progress: bool = True) -> dict[str, tuple[int, int]]:
    """Write maps, points and lists of frames.

    Args:
        root: Holds logs, or folders that hold logs.
        folder: Where all goes.
        every: Which sweeps become frames.
        progress: Show a bar.

    Returns:
        Frames, and sweeps left out because a camera has no image or the vehicle no
        pose at that time, by split.

    Raises:
        FileNotFoundError: there is no log, or a log lacks a file.
        ValueError: ``every`` is below 1.
    """
    if every < 1:
        raise ValueError(f'every must be at least 1, got {every}')
    counts = {}
    for split, logs in find_logs(Path(root)).items():
        frames: list[dict[str, Any]] = []
        left_out = 0
        for log in tqdm(logs, desc=split, unit='log', disable=hides_bar(progress)):
            written, missed = write_log(log, Path(folder), every)
            frames += written
            left_out += missed
        maps = {log.name: {'polygons': f'maps/{log.name}.geojson'} for log in logs}
        write_file(Path(folder, f'{split}.json'), json.dumps(
            {'format': FORMAT, 'classes': CLASSES, 'maps': maps, 'frames': frames}
        ).encode())
        counts[split] = len(frames), left_out
    return counts


def find_logs(root: Path) -> dict[str, list[Path]]:
    """Return the folders of logs by split; one split is named after its folder.

    Raises:
        FileNotFoundError: there is none.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted([*root.glob(f'*/{POSES}'), *root.glob(f'*/*/{POSES}')]):
        found.setdefault(path.parents[1].resolve().name, []).append(path.parent)
    if not found:
        raise FileNotFoundError(
            f'{root} has no log of Argoverse 2: neither <log>/{POSES} nor '
            f'<split>/<log>/{POSES}')
    return found


def write_log(log: Path, folder: Path, every: int) -> tuple[list[dict[str, Any]], int]:
    """Write map and points of a log, and link its images.

    Returns:
        Its frames, and how many sweeps were left out.
    """
    from av2.geometry.camera.pinhole_camera import PinholeCamera
    from av2.map.map_api import ArgoverseStaticMap
    from av2.utils.io import read_city_SE3_ego, read_feather
    features = map_features(ArgoverseStaticMap.from_json(_map_file(log)))
    write_file(folder / 'maps' / f'{log.name}.geojson', json.dumps(
        {'type': 'FeatureCollection', 'features': features}).encode())
    link = folder / 'images' / log.name
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to((log / 'sensors/cameras').resolve())
    poses = {int(time): pose.transform_matrix.tolist()
             for time, pose in read_city_SE3_ego(log).items()}
    cameras = {name: PinholeCamera.from_feather(log, name) for name in CAMERAS}
    images = {name: _times(log / 'sensors/cameras' / name, '.jpg') for name in CAMERAS}
    frames, left_out = [], 0
    for time in _times(log / 'sensors/lidar', '.feather')[::every].tolist():
        shots = {name: shot for name, times in images.items()
                 if (shot := _nearest(times, time)) in poses}
        if time not in poses or len(shots) < len(CAMERAS):
            left_out += 1
            continue
        points = f'points/{log.name}/{time}.bin'
        sweep = read_feather(log / f'sensors/lidar/{time}.feather')
        write_file(folder / points,
                   sweep[list(VALUES)].to_numpy().astype('<f4').tobytes())
        frames.append({
            'id': f'{log.name}_{time}', 'scene': log.name, 'map': log.name,
            'timestamp': time / 1e9, 'ego2global': poses[time],
            'cameras': {name: {
                'image': f'images/{log.name}/{name}/{shots[name]}.jpg',
                'intrinsics': camera.intrinsics.K.tolist(),
                'sensor2ego': camera.ego_SE3_cam.transform_matrix.tolist(),
                'ego2global': poses[shots[name]]}
                for name, camera in cameras.items()},
            'lidar': {'points': points, 'values': len(VALUES),
                      'sensor2ego': np.eye(4).tolist()}})
    return frames, left_out


def map_features(static_map: ArgoverseStaticMap) -> list[dict[str, Any]]:
    """Return the GeoJSON features of a map, coordinates in metres of the city.

    Areas whose outline crosses itself are repaired. A boundary that two lanes
    share is one line.
    """
    areas = [('drivable_area', area.xyz)
             for area in static_map.get_scenario_vector_drivable_areas()]
    areas += [('ped_crossing', crossing.polygon)
              for crossing in static_map.get_scenario_ped_crossings()]
    features = [_feature(name, part) for name, outline in areas
                for part in _polygons(outline)]
    lines: dict[bytes, shapely.Geometry] = {}
    for line in painted_boundaries(static_map.get_scenario_lane_segments()):
        geometry = shapely.LineString(line[:, :2])
        lines.setdefault(shapely.normalize(geometry).wkb, geometry)
    return features + [_feature('divider', line) for line in lines.values()]


def painted_boundaries(lanes: Sequence[LaneSegment]) -> Iterator[np.ndarray]:
    """Yield the (n, 3) boundaries of lanes that are painted."""
    for lane in lanes:
        for marking in (lane.left_lane_marking, lane.right_lane_marking):
            if marking.mark_type.name not in _UNPAINTED:
                yield marking.polyline


def _polygons(outline: np.ndarray) -> Iterator[shapely.Geometry]:
    """Yield valid polygons of an (n, 3) outline; what has no area is left out."""
    parts = shapely.get_parts(shapely.make_valid(shapely.Polygon(outline[:, :2])))
    for part in shapely.get_parts(parts):  # of a collection, a multiple polygon
        if part.geom_type == 'Polygon':
            yield part


def _feature(name: str, geometry: shapely.Geometry) -> dict[str, Any]:
    return {'type': 'Feature', 'properties': {'class': name},
            'geometry': shapely.geometry.mapping(geometry)}


def _map_file(log: Path) -> Path:
    found = sorted(log.glob('map/log_map_archive_*.json'))
    if len(found) != 1:
        raise FileNotFoundError(f'{log}/map must hold one log_map_archive_*.json, has '
                                f'{len(found)}')
    return found[0]


def _times(folder: Path, suffix: str) -> np.ndarray:
    """Return the nanoseconds that files are named after, in order.

    Raises:
        FileNotFoundError: there is no such file.
    """
    found = sorted(int(path.stem) for path in folder.glob(f'*{suffix}'))
    if not found:
        raise FileNotFoundError(f'{folder} holds no {suffix} files')
    return np.array(found)


def _nearest(times: np.ndarray, time: int) -> int:
    """Return the nearest of some times, -1 where it is too far."""
    nearest = int(times[np.abs(times - time).argmin()])
    return nearest if abs(nearest - time) <= LATEST else -1


def _require_api() -> None:
    """Raise UserError where Argoverse's package is missing or cannot be imported."""
    try:
        import av2.map.map_api
        import av2.utils.io  # noqa: F401
    except ImportError as error:
        raise UserError("this needs Argoverse's package: "
                        f'pip install "av2" "pyarrow<26" ({error})') from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('root', metavar='ROOT', type=Path,
                        help='holds logs, or train, val and test with logs')
    parser.add_argument('folder', metavar='FOLDER', type=Path,
                        help='where maps, points and lists of frames go')
    parser.add_argument('--every', type=int, default=EVERY, metavar='N',
                        help='one of N sweeps becomes a frame (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    _require_api()
    try:
        counts = prepare(args.root, args.folder, args.every)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    _tell(args.folder, counts)
    return 0


def _tell(folder: Path, counts: Mapping[str, tuple[int, int]]) -> None:
    for split, (frames, left_out) in counts.items():
        note = (f'; {left_out} sweeps left out: no image within {LATEST / 1e9:g} s, or '
                'no pose' if left_out else '')
        print(f'{os.path.join(folder, split)}.json: {frames} frames{note}')
    print(f'check it with  ddp-perception prepare custom {folder} --pictures DIR')
