"""Writes a whole set: drives by worker processes."""

from functools import partial
from pathlib import Path

from data_tools.synthetic.drives import Drive, plan_drives
from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import Calibration, noise_seed, photograph
from data_tools.synthetic.writing import Progress, write_set
from data_tools.synthetic_cityscapes.calibration import camera
from data_tools.synthetic_cityscapes.options import Options
from data_tools.world import World

FRAME_RATE = 17  # per second
BUSTLE = 3.      # inner cities: people, two-wheelers, fences, signs
CITIES = {
    'train': ('aachen', 'bochum', 'bremen', 'cologne', 'darmstadt',
              'dusseldorf', 'erfurt', 'hamburg', 'hanover', 'jena', 'krefeld',
              'monchengladbach', 'strasbourg', 'stuttgart', 'tubingen', 'ulm',
              'weimar', 'zurich'),
    'val': ('frankfurt', 'lindau', 'munster'),
}
"""Names of the cities of each split; drives go through them in turn."""


def plan(options: Options) -> list[Drive]:
    """The drives of a set, those of the training split first."""
    return plan_drives('cityscapes', {'train': options.train_drives,
                                      'val': options.val_drives})


def frame_paths(drive: Drive, frame: int) -> tuple[str, str]:
    """Paths of a frame's picture and label ids below the root.

    A name holds city, sequence and frame: here sequences are the drives
    through that city, and frames count seventeenths of a second.
    """
    cities = CITIES[drive.split]
    city = cities[drive.index % len(cities)]
    stem = f'{city}_{drive.index // len(cities):06d}_{frame:06d}'
    return (f'leftImg8bit/{drive.split}/{city}/{stem}_leftImg8bit.png',
            f'gtFine/{drive.split}/{city}/{stem}_gtFine_labelIds.png')


def frame_numbers(options: Options) -> list[int]:
    """Numbers of the frames of each drive."""
    return [options.stride * n for n in range(options.frames)]


def open_world(drive: Drive, options: Options) -> World:
    """World of a drive, avenues and side streets in turn."""
    last = frame_numbers(options)[-1]
    return drive.world(options.seed, last / FRAME_RATE, BUSTLE,
                       residential=drive.index % 2 == 1)


def sensor(drive: Drive, frame: int, options: Options) -> Calibration:
    """Camera at a frame."""
    return camera(drive.lean(options.seed, frame), options.image_size)


def _write_drive(out: Path, drive: Drive, options: Options,
                 progress: Progress) -> list[str]:
    """Write a drive; returns the path of each picture."""
    world = open_world(drive, options)
    pictures = []
    for frame in frame_numbers(options):
        picture, labels = frame_paths(drive, frame)
        shot = photograph(world, frame / FRAME_RATE,
                          sensor(drive, frame, options), options.image_size,
                          noise_seed(options.seed, picture))
        write_image(out / picture, shot.rgb)
        write_image(out / labels, shot.label)
        pictures.append(picture)
        progress()
    return pictures


def _finish(records: list) -> None:
    """Do nothing: the format has no list of its frames."""


def write_synthetic_cityscapes(out: str | Path, *, seed: int = 0,
                               train_drives: int = 12, val_drives: int = 4,
                               frames: int = 5, stride: int = 20,
                               image_size: tuple[int, int] = (512, 256),
                               workers: int = 1, overwrite: bool = False,
                               progress: bool = True) -> Path:
    """Write a synthetic set in the layout of Cityscapes.

    ::

        leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png
        gtFine/<split>/<city>/<city>_<sequence>_<frame>_gtFine_labelIds.png

    Like the download, it holds label ids; `data_tools.prepare_cityscapes`
    writes the training classes beside them. No world is in both splits. A
    complete set with the same options is left alone; an interrupted one is
    continued at its first unfinished drive. The bytes do not depend on
    `workers`.

    Args:
        out: Root to write.
        seed, train_drives, val_drives, frames, stride, image_size: See
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
    options = Options(seed, train_drives, val_drives, frames, stride,
                      image_size)
    out = Path(out)
    return write_set(
        out, options.record(),
        {f'{d.split}_{d.index}': partial(_write_drive, out, d, options)
         for d in plan(options)},
        _finish, frames=frames, title='synthetic Cityscapes',
        workers=workers, overwrite=overwrite, progress=progress)
