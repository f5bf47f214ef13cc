"""Write the info files that map segmentation reads from a nuScenes root.

Run "ddp-perception prepare nuscenes ROOT --version v1.0-mini". It
writes nuscenes_infos_train.pkl and nuscenes_infos_val.pkl (for v1.0-test,
nuscenes_infos_test.pkl) into the root: mmdet3d's info format v2, which its
own data sets read too, extended by the map location of every frame.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from data_tools import nuscenes_infos as infos
from data_tools.nuscenes_tables import read_tables
from ddp_perception.datasets.info_files import read_info_file
from ddp_perception.datasets.info_schema import ALL_FIELDS, check_infos
from ddp_perception.files import write_file
from ddp_perception.progress import hides_bar
from ddp_perception.wording import counted

if TYPE_CHECKING:
    from nuscenes import NuScenes

SPLITS = {
    'v1.0-mini': {'train': 'mini_train', 'val': 'mini_val'},
    'v1.0-trainval': {'train': 'train', 'val': 'val'},
    'v1.0-test': {'test': 'test'},
}
"""Info files per version of the tables, and the devkit's name of each."""

TABLES = ('category', 'attribute', 'visibility', 'instance', 'sensor',
          'calibrated_sensor', 'ego_pose', 'log', 'scene', 'sample',
          'sample_data', 'sample_annotation', 'map')


def prepare(root: str | Path, version: str, prefix: str = 'nuscenes',
            out_dir: str | Path | None = None, max_sweeps: int = 10,
            overwrite: bool = False, skip_incomplete: bool = False,
            progress: bool = True) -> dict[str, Path]:
    """Write the info files of every split of a version.

    Finished scenes are kept in a hidden folder until all are done, so that
    an interrupted run goes on where it stopped. Files are replaced only when
    they are complete.

    Args:
        root: nuScenes root: tables, samples, sweeps, maps.
        version: 'v1.0-mini', 'v1.0-trainval' or 'v1.0-test'.
        prefix: Prefix of the file names.
        out_dir: Where to write, by default the root.
        max_sweeps: Earlier LiDAR sweeps to list per frame.
        overwrite: Replace info files that exist.
        skip_incomplete: Leave out scenes that lack sensor files (a partial
            download) instead of stopping.
        progress: Show a progress bar.

    Returns:
        The file of each split.

    Raises:
        FileNotFoundError: tables, maps or sensor files are missing; names
            the first few and how many.
        FileExistsError: an info file exists and `overwrite` is off.
        ValueError: the version is unknown, no scene belongs to a split, or a
            table or map holds wrong values (see `read_tables`, `MapTables`).
    """
    root = Path(root)
    out_dir = Path(out_dir or root)
    if version not in SPLITS:
        raise ValueError(f'version must be one of {", ".join(SPLITS)}, got '
                         f'{version!r}')
    files = {split: out_dir / f'{prefix}_infos_{split}.pkl'
             for split in SPLITS[version]}
    existing = [str(path) for path in files.values() if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f'{", ".join(existing)} exist. Replace them with --overwrite, add '
            'the map fields to them with --extend FILE, or choose another '
            '--prefix')
    _require_tables(root, version, TABLES)
    nusc = _open(root, version)
    scenes = _scenes_of_splits(nusc, version)
    locations = {nusc.get('log', scene['log_token'])['location']
                 for group in scenes.values() for scene in group}
    map_version = read_map_version(root, locations)
    scenes = _complete_scenes(nusc, root, scenes, max_sweeps, skip_incomplete)

    out_dir.mkdir(parents=True, exist_ok=True)
    cache = out_dir / f'.{prefix}_infos_{version}.partial'
    cache.mkdir(exist_ok=True)
    key = _fingerprint(root, version, max_sweeps)
    frames: dict[str, list[dict]] = {split: [] for split in scenes}
    with tqdm(total=sum(map(len, scenes.values())), unit='scene',
              desc='info files', disable=hides_bar(progress)) as bar:
        for split, group in scenes.items():
            for scene in group:
                frames[split] += _scene_frames(nusc, scene, max_sweeps, cache,
                                               key)
                bar.update()
    for split, path in files.items():
        for index, frame in enumerate(frames[split]):
            frame['sample_idx'] = index
        content = {'metainfo': infos.metainfo(version, map_version),
                   'data_list': frames[split]}
        try:
            check_infos(content, path, ALL_FIELDS)
        except ValueError as error:  # poses that are right, but not together
            raise ValueError(f'{error}. It follows from ego_pose.json, '
                             'calibrated_sensor.json, sample.json, sample_data.json '
                             'and sample_annotation.json') from None
        write_infos(path, content)
        print(f'{path}: {counted(len(frames[split]), "frames")} of '
              f'{counted(len(scenes[split]), "scenes")}')
    shutil.rmtree(cache)
    return files


def extend(root: str | Path, path: str | Path, version: str | None = None) -> int:
    """Add the map fields to an info file, leaving all else as it is.

    Args:
        root: nuScenes root.
        path: Info file, pickle or JSON; replaced when complete.
        version: Version of the tables, by default that of the file.

    Returns:
        Number of frames.

    Raises:
        FileNotFoundError: the info file, tables or maps are missing.
        ValueError: not an info file of format v2, or its frames are not in
            the tables.
    """
    root, path = Path(root), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'info file {path} is missing')
    content = read_infos(path)
    version = version or content['metainfo'].get('version')
    if not version:
        raise ValueError(f'{path} does not name its version; give --version')
    try:
        _require_tables(root, version, ('sample', 'scene', 'log'))
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path} is of version {version}, but {error}'
                                ) from None
    tables = read_tables(root / version, ('sample', 'scene', 'log'))
    samples, scenes, logs = ({record['token']: record for record in records}
                             for records in tables.values())
    tokens = [frame.get('token') for frame in content['data_list']]
    unknown = [token for token in tokens if token not in samples]
    if unknown:
        raise ValueError(
            f'{len(unknown)} of {len(tokens)} frames of {path} are not in '
            f'{root / version} (first: {unknown[0]})')
    for frame in content['data_list']:
        scene = scenes[samples[frame['token']]['scene_token']]
        frame.update(infos.map_fields(scene, logs[scene['log_token']]))
    content['metainfo']['map_version'] = read_map_version(
        root, {frame['map_location'] for frame in content['data_list']})
    write_infos(path, content)
    return len(tokens)


def read_map_version(root: str | Path, locations: Iterable[str]) -> str:
    """Return the version of the map expansion, after checking its files.

    Raises:
        FileNotFoundError: a location's file is missing.
        ValueError: a file is not usable or they are of different versions.
    """
    from ddp_perception.datasets.vector_map import (
        load_vector_map,
        map_file,
        require_map_files,
    )
    try:
        require_map_files(root, locations)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{error}. The locations are those of log.json'
                                ) from None
    versions = {}
    for location in sorted(locations):
        load_vector_map(root, location)
        versions[location] = str(json.loads(
            map_file(root, location).read_bytes())['version'])
    if len(set(versions.values())) > 1:
        raise ValueError(f'map expansion files differ in version: {versions}')
    return next(iter(versions.values()), '')


def read_infos(path: str | Path) -> dict:
    """Read an info file of format v2, pickle or JSON; see `read_info_file`.

    Every frame must have a token.
    """
    return read_info_file(path, ('token', ))


def write_infos(path: Path, content: dict) -> None:
    """Write an info file; whoever reads meanwhile finds the old one."""
    write_file(path, json.dumps(content).encode() if path.suffix == '.json'
               else pickle.dumps(content, protocol=4))


def _require_tables(root: Path, version: str, tables: Iterable[str]) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f'nuScenes root {root} is not a folder')
    if not (root / version).is_dir():
        found = sorted(path.name for path in root.glob('v1.0-*'))
        raise FileNotFoundError(
            f'{root / version} is missing; the root holds '
            f'{", ".join(found) or "no tables of any version"}')
    missing = [f'{table}.json' for table in tables
               if not (root / version / f'{table}.json').is_file()]
    if missing:
        raise FileNotFoundError(f'{root / version} lacks the tables '
                                f'{", ".join(missing)}')


def _open(root: Path, version: str) -> NuScenes:
    """Open the tables, after checking them and the map pictures they name."""
    from nuscenes import NuScenes

    class CheckedTables(NuScenes):
        """The devkit's tables, each read once."""

        def __load_table__(self, table_name: str) -> list[dict]:
            return (tables.pop(table_name) if table_name in tables
                    else super().__load_table__(table_name))

    print(f'reading the tables of {version} ...', flush=True)
    tables = read_tables(root / version)
    missing = [record['filename'] for record in tables['map']
               if not (root / record['filename']).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{root} lacks the map pictures {", ".join(missing)}, which map.json '
            f'names and the {version} archive holds in its folder maps')
    try:
        return CheckedTables(version, str(root), verbose=False)
    except (AssertionError, LookupError, TypeError) as error:  # lidarseg, panoptic
        raise ValueError(f'nuscenes-devkit cannot open {root / version}: '
                         f'{error}') from error


def _scenes_of_splits(nusc: NuScenes, version: str) -> dict[str, list[dict]]:
    """Return the scenes of each split that the tables hold."""
    from nuscenes.utils.splits import create_splits_scenes
    official = create_splits_scenes()
    scenes = {split: [scene for scene in nusc.scene
                      if scene['name'] in set(official[name])]
              for split, name in SPLITS[version].items()}
    if not any(scenes.values()):
        raise ValueError(
            f'none of the {len(nusc.scene)} scenes in scene.json of {version} belongs '
            f'to its splits {", ".join(SPLITS[version].values())}')
    return scenes


def _complete_scenes(nusc: NuScenes, root: Path, scenes: dict[str, list[dict]],
                     max_sweeps: int, skip_incomplete: bool) -> dict[str, list[dict]]:
    """Return the scenes whose files are all there, or raise."""
    index = infos.FolderIndex(root)
    missing: list[str] = []
    kept: dict[str, list[dict]] = {}
    for split, group in scenes.items():
        kept[split] = []
        for scene in group:
            lost = dict.fromkeys(
                name for sample in infos.scene_samples(nusc, scene)
                for name in infos.frame_files(nusc, sample, max_sweeps)
                if name not in index)
            missing += lost
            if not lost:
                kept[split].append(scene)
    if not missing:
        return scenes
    first = '\n  '.join(missing[:5])
    total, complete = (sum(map(len, group.values()))
                       for group in (scenes, kept))
    message = (f'{len(missing)} sensor files that sample_data.json names are missing '
               f'under {root}, in {total - complete} of {total} scenes; first:\n'
               f'  {first}')
    if not skip_incomplete or not complete:
        raise FileNotFoundError(
            f'{message}\nDownload them, or leave out the scenes that lack '
            'files with --skip-incomplete')
    print(f'{message}\nleaving out these scenes', file=sys.stderr)
    return kept


def _fingerprint(root: Path, version: str, max_sweeps: int) -> str:
    """Return a text that changes with the tables and the options."""
    stats = [(table, (root / version / f'{table}.json').stat())
             for table in TABLES]
    state = [(table, stat.st_size, stat.st_mtime_ns) for table, stat in stats]
    code = Path(infos.__file__).read_bytes()
    return hashlib.sha256(repr((max_sweeps, state)).encode() + code
                          ).hexdigest()


def _scene_frames(nusc: NuScenes, scene: dict, max_sweeps: int, cache: Path,
                  key: str) -> list[dict]:
    """Return the frames of a scene, from an interrupted run if possible."""
    from ddp_perception.checkpoints.plain_pickle import load_plain
    path = cache / f'{scene["name"]}.pkl'
    if path.is_file():
        try:
            stored = load_plain(path)
            if stored['key'] == key:
                return stored['frames']
        except (pickle.UnpicklingError, ValueError, KeyError, TypeError):
            pass  # not ours or damaged: written anew
    frames = [infos.frame_info(nusc, sample, max_sweeps)
              for sample in infos.scene_samples(nusc, scene)]
    write_infos(path, {'key': key, 'frames': frames})
    return frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this sub-command."""
    parser.add_argument('root', metavar='ROOT', type=Path,
                        help='nuScenes root: tables, samples, sweeps, maps')
    parser.add_argument('--version', choices=SPLITS,
                        help='tables to read; by default the only ones there')
    parser.add_argument('--prefix', default='nuscenes',
                        help='of the file names (default: %(default)s)')
    parser.add_argument('--out-dir', type=Path, metavar='DIR',
                        help='where to write (default: ROOT)')
    parser.add_argument('--max-sweeps', type=int, default=10, metavar='N',
                        help='earlier LiDAR sweeps listed per frame '
                             '(default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace info files that exist')
    parser.add_argument('--skip-incomplete', action='store_true',
                        help='leave out scenes that lack sensor files')
    parser.add_argument('--extend', type=Path, metavar='FILE',
                        help='only add the map fields to this info file of '
                             "mmdet3d's (a path, or a name in ROOT), in place")


def _only_version(root: str | Path) -> str:
    found = [name for name in SPLITS if (Path(root) / name).is_dir()]
    if len(found) != 1:
        raise ValueError(
            f'{root} holds {", ".join(found) or "none of " + ", ".join(SPLITS)}'
            '; choose one with --version')
    return found[0]


def run(args: argparse.Namespace) -> int:
    """Run this sub-command; returns the exit status."""
    try:
        if not args.root.is_dir():
            raise FileNotFoundError(f'nuScenes root {args.root} is not a folder')
        if args.extend:
            path = args.extend
            if not path.is_file() and (args.root / path).is_file():
                path = args.root / path
            count = extend(args.root, path, args.version)
            print(f'{path}: map fields added to {count} frames')
            return 0
        prepare(args.root, args.version or _only_version(args.root),
                prefix=args.prefix, out_dir=args.out_dir,
                max_sweeps=args.max_sweeps, overwrite=args.overwrite,
                skip_incomplete=args.skip_incomplete)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0
