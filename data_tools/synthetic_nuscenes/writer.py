"""Writes a whole set: scenes by worker processes, then maps and tables."""

import json
import multiprocessing
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tqdm import tqdm

from data_tools.synthetic_nuscenes.map_expansion import MapExpansion
from data_tools.synthetic_nuscenes.map_mask import MapMask
from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.scene_writer import SceneWriter
from data_tools.synthetic_nuscenes.scenes import SceneSpec, canvas, plan_scenes
from data_tools.synthetic_nuscenes.tables import mask_filename, write_json, write_tables
from data_tools.world.regions import plan_region

MARKER = 'synthetic.json'
_PARTS = '.scenes'


def _read_marker(out: Path) -> dict | None:
    try:
        return json.loads((out / MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _claim(out: Path, options: Options, overwrite: bool) -> bool:
    """Prepare the folder; whether the very set is complete there already.

    Raises:
        FileExistsError: it holds something else.
    """
    marker, wanted = _read_marker(out), options.record()
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is a file, a folder was expected')
    if marker is None and out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f'{out} is not empty and not a synthetic set (it has no '
            f'{MARKER}); choose another folder')
    if marker is not None and marker['options'] != wanted:
        changed = sorted(k for k in {*wanted, *marker['options']}
                         if wanted.get(k) != marker['options'].get(k))
        if not overwrite:
            raise FileExistsError(
                f'{out} holds a synthetic set with other options '
                f'({", ".join(changed)}); choose another folder or overwrite '
                'it (--overwrite)')
        for entry in out.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        marker = None
    if marker is not None and marker['complete']:
        return True
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / MARKER, {'options': wanted, 'complete': False})
    return False


_COUNTER = None


def _share_counter(counter) -> None:
    global _COUNTER
    _COUNTER = counter


def _count() -> None:
    with _COUNTER.get_lock():
        _COUNTER.value += 1


def _write_scene(out: Path, spec: SceneSpec, options: Options,
                 progress=_count) -> None:
    """Write one scene; its records appear last, so they mean it is done."""
    records = SceneWriter(out, spec, options).write(progress)
    write_json(out / _PARTS / f'{spec.name}.json', records)


def _region(options: Options, spec: SceneSpec):
    return plan_region((options.seed, spec.number), spec.centre, spec.side)


def _write_map(out: Path, location: str, specs: list[SceneSpec],
               options: Options) -> None:
    """Write the expansion and the prior mask of one location."""
    edge = canvas(len(specs))
    expansion, mask = MapExpansion(location, edge), MapMask(edge)
    for spec in specs:
        layers = _region(options, spec).map
        expansion.add_region(f'{options.seed}|{spec.name}', layers)
        mask.add_region(layers)
    expansion.write(out)
    mask.write(out / mask_filename(location))


def _by_location(specs: list[SceneSpec]) -> dict[str, list[SceneSpec]]:
    groups: dict[str, list[SceneSpec]] = {}
    for spec in specs:
        groups.setdefault(spec.location, []).append(spec)
    return groups


def _run(out: Path, specs: list[SceneSpec], todo: list[SceneSpec],
         options: Options, workers: int, bar: tqdm) -> None:
    """Write the scenes of `todo` and the maps of all `specs`."""
    maps = _by_location(specs)
    if workers == 1:
        for spec in todo:
            _write_scene(out, spec, options, lambda: bar.update(1))
        for location, here in maps.items():
            _write_map(out, location, here, options)
        return
    # Spawned, not forked: the caller may hold threads.
    context = multiprocessing.get_context('spawn')
    counter = context.Value('q', 0)
    with ProcessPoolExecutor(workers, context, _share_counter,
                             (counter,)) as pool:
        jobs = [pool.submit(_write_scene, out, spec, options)
                for spec in todo]
        jobs += [pool.submit(_write_map, out, location, here, options)
                 for location, here in maps.items()]
        shown = 0
        try:
            while True:
                done = [job for job in jobs if job.done()]
                for job in done:
                    job.result()  # raises what the worker raised
                bar.update(counter.value - shown)
                shown = counter.value
                if len(done) == len(jobs):
                    return
                time.sleep(.1)
        finally:
            pool.shutdown(cancel_futures=True)


def write_synthetic_nuscenes(
        out, *, seed: int = 0, version: str = 'v1.0-mini', scenes: int = 10,
        keyframes: int = 12, image_size: tuple[int, int] = (480, 270),
        lidar_sweeps: int = 9, camera_sweeps: int = 0, beams: int = 32,
        azimuths: int = 1080, jpeg_quality: int = 92, workers: int = 1,
        overwrite: bool = False, progress: bool = True) -> Path:
    """Write a synthetic set in nuScenes' own format.

    A complete set with the same options is left alone; an interrupted one is
    continued at its first unfinished scene. The bytes do not depend on
    `workers`.

    Args:
        out (str | Path): Root to write.
        seed, version, scenes, keyframes, image_size, lidar_sweeps,
            camera_sweeps, beams, azimuths, jpeg_quality: See `Options`.
        workers (int): Processes.
        overwrite (bool): Replace a synthetic set that has other options;
            anything else is never deleted.
        progress (bool): Show a bar.

    Returns:
        Path: The root.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: an option is out of its range.
    """
    options = Options(seed, version, scenes, keyframes, image_size,
                      lidar_sweeps, camera_sweeps, beams, azimuths,
                      jpeg_quality)
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    out = Path(out)
    specs = plan_scenes(version, scenes)
    if _claim(out, options, overwrite):
        return out
    parts = {s.name: out / _PARTS / f'{s.name}.json' for s in specs}
    todo = [s for s in specs if not parts[s.name].exists()]
    total = len(specs) * keyframes
    with tqdm(total=total, initial=total - len(todo) * keyframes,
              desc='synthetic nuScenes', unit='key frame',
              disable=not progress) as bar:
        _run(out, specs, todo, options, workers, bar)
    write_tables(out / version, [json.loads(parts[s.name].read_text())
                                 for s in specs])
    write_json(out / MARKER, {'options': options.record(), 'complete': True})
    shutil.rmtree(out / _PARTS)
    return out


