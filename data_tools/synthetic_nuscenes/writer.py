"""Writes a whole set: scenes by worker processes, then maps and tables."""
from __future__ import annotations

from functools import partial
from pathlib import Path

from data_tools.synthetic.writing import Progress, write_set
from data_tools.synthetic_nuscenes.map_expansion import MapExpansion
from data_tools.synthetic_nuscenes.map_mask import MapMask
from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.scene_writer import SceneWriter
from data_tools.synthetic_nuscenes.scenes import SceneSpec, canvas, plan_scenes
from data_tools.synthetic_nuscenes.tables import mask_filename, write_tables
from data_tools.world.regions import Region, plan_region


def _write_scene(out: Path, spec: SceneSpec, options: Options,
                 progress: Progress) -> dict:
    return SceneWriter(out, spec, options).write(progress)


def _region(options: Options, spec: SceneSpec) -> Region:
    return plan_region((options.seed, spec.number), spec.centre, spec.side)


def _write_map(out: Path, location: str, specs: list[SceneSpec],
               options: Options, progress: Progress) -> None:
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


def write_synthetic_nuscenes(out: str | Path, *, seed: int = 0,
                             version: str = 'v1.0-mini', scenes: int = 10,
                             keyframes: int = 12,
                             image_size: tuple[int, int] = (480, 270),
                             lidar_sweeps: int = 9, camera_sweeps: int = 0,
                             beams: int = 32, azimuths: int = 1080,
                             jpeg_quality: int = 92, workers: int = 1,
                             overwrite: bool = False, progress: bool = True) -> Path:
    """Write a synthetic set in nuScenes' own format.

    A complete set with the same options is left alone; an interrupted one is
    continued at its first unfinished scene. The bytes do not depend on
    `workers`.

    Args:
        out: Root to write.
        seed, version, scenes, keyframes, image_size, lidar_sweeps,
            camera_sweeps, beams, azimuths, jpeg_quality: See `Options`.
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
    options = Options(seed, version, scenes, keyframes, image_size,
                      lidar_sweeps, camera_sweeps, beams, azimuths,
                      jpeg_quality)
    out = Path(out)
    specs = plan_scenes(version, scenes)
    return write_set(
        out, options.record(),
        {s.name: partial(_write_scene, out, s, options) for s in specs},
        partial(write_tables, out / version), frames=keyframes,
        others=[partial(_write_map, out, location, here, options)
                for location, here in _by_location(specs).items()],
        title='synthetic nuScenes', unit='key frame', workers=workers,
        overwrite=overwrite, progress=progress)
