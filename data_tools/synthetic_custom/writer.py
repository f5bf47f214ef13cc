"""Writes a whole set: drives by worker processes, then the lists of frames."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import shapely

from data_tools.synthetic.drives import Drive, plan_drives
from data_tools.synthetic.folder import write_json
from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import noise_seed, photograph, scan
from data_tools.synthetic.writing import Progress, write_set
from data_tools.synthetic_custom import rig
from data_tools.synthetic_custom.options import Options
from data_tools.world import World
from ddp_perception.datasets.bev_frames import FORMAT
from ddp_perception.files import write_file

CLASSES = {'road': 'drivable_area', 'walkway': 'walkway'}
"""Layer of the world's map that each class shows."""
PERIOD = .5  # seconds from frame to frame


def drive_name(drive: Drive) -> str:
    """Name of a drive, of its map and of its folders."""
    return f'{drive.split}_{drive.index:03d}'


def plan(options: Options) -> list[Drive]:
    """The drives of a set, those of the training split first."""
    return plan_drives('custom', {'train': options.train_drives,
                                  'val': options.val_drives})


def open_world(drive: Drive, options: Options) -> World:
    """World of a drive; the same for every process."""
    return drive.world(options.seed, PERIOD * options.frames)


def map_features(world: World) -> dict:
    """The map of a world as GeoJSON, coordinates in metres."""
    return {'type': 'FeatureCollection', 'features': [
        {'type': 'Feature', 'properties': {'class': name},
         'geometry': json.loads(shapely.to_geojson(polygon))}
        for name, layer in CLASSES.items() for polygon in world.map.polygons(layer)]}


def _write_drive(out: Path, drive: Drive, options: Options, progress: Progress
                 ) -> list[dict]:
    """Write a drive; returns the records of its frames."""
    world, name = open_world(drive, options), drive_name(drive)
    (out / 'maps').mkdir(parents=True, exist_ok=True)
    write_file(out / 'maps' / f'{name}.geojson',
               json.dumps(map_features(world)).encode())
    frames = []
    for number in range(options.frames):
        frames.append(_write_frame(out, world, name, number, options))
        progress()
    return frames


def _write_frame(out: Path, world: World, drive: str, number: int,
                 options: Options) -> dict:
    time, name = number * PERIOD, f'{drive}_{number:03d}'
    cameras = {}
    for camera in rig.CAMERAS:
        sensor, size = rig.camera(camera, options.image_size)
        shot = photograph(world, time, sensor, size,
                          noise_seed(options.seed, name, camera))
        image = f'images/{camera}/{name}.jpg'
        write_image(out / image, shot.rgb)
        assert sensor.intrinsic is not None, 'a camera has intrinsics'
        cameras[camera] = {'image': image, 'intrinsics': sensor.intrinsic.tolist(),
                           'sensor2ego': sensor.ego_from_sensor().tolist()}
    lidar = rig.lidar()
    sweep = scan(world, time, lidar, rig.beam_pattern(options.beams, options.azimuths),
                 noise_seed(options.seed, name, 'lidar'))
    points = f'points/{name}.bin'
    (out / 'points').mkdir(exist_ok=True)
    write_file(out / points, np.column_stack(
        (sweep.points, sweep.intensity)).astype(np.float32).tobytes())
    return {'id': name, 'scene': drive, 'timestamp': time, 'map': drive,
            'ego2global': world.ego_pose(time).tolist(), 'cameras': cameras,
            'lidar': {'points': points, 'values': 4,
                      'sensor2ego': lidar.ego_from_sensor().tolist()}}


def _finish(out: Path, options: Options, records: list) -> None:
    """Write a list per split."""
    for split in ('train', 'val'):
        frames = [frame for drive, part in zip(plan(options), records, strict=True)
                  if drive.split == split for frame in part]
        maps = dict.fromkeys(frame['map'] for frame in frames)
        write_json(out / f'{split}.json', {
            'format': FORMAT, 'classes': list(CLASSES),
            'maps': {name: {'polygons': f'maps/{name}.geojson'} for name in maps},
            'frames': frames})


def write_synthetic_custom(out: str | Path, *, seed: int = 0, train_drives: int = 16,
                           val_drives: int = 4, frames: int = 6,
                           image_size: tuple[int, int] = (352, 224), beams: int = 24,
                           azimuths: int = 720, workers: int = 1,
                           overwrite: bool = False, progress: bool = True) -> Path:
    """Write a synthetic set as `ddp.BEVDataset` reads it.

    ::

        train.json, val.json
        images/<camera>/<drive>_<frame>.jpg
        points/<drive>_<frame>.bin
        maps/<drive>.geojson

    No world is in both lists. A complete set with the same options is left alone;
    an interrupted one is continued at its first unfinished drive. The bytes do not
    depend on `workers`.

    Args:
        out: Root to write.
        seed, train_drives, val_drives, frames, image_size, beams, azimuths: See
            `Options`.
        workers: Processes.
        overwrite: Replace a synthetic set that has other options; anything
            else is never deleted.
        progress: Show a bar.

    Returns:
        The root.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: an option is out of its range.
    """
    options = Options(seed, train_drives, val_drives, frames, image_size, beams,
                      azimuths)
    out = Path(out)
    drives: dict[str, Callable] = {
        drive_name(drive): partial(_write_drive, out, drive, options)
        for drive in plan(options)}
    return write_set(out, options.record(), drives, partial(_finish, out, options),
                     frames=frames, title='synthetic rig', workers=workers,
                     overwrite=overwrite, progress=progress)
