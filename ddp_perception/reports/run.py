"""Read the folder of a training or a test."""
from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ddp_perception.reports.logs import Log, read_log
from ddp_perception.reports.pictures import ENDINGS, Pictures, embed
from ddp_perception.reports.results import Results, add_result, read_dump
from ddp_perception.reports.scalars import Curves, Logged, join, read_scalars

MOST_CONFIG_BYTES = 1_000_000
MOST_LOG_BYTES = 200_000_000
"""Of a log, and of a file of curves."""
_BEST = re.compile(r'best_(.+)_(epoch|iter)_(\d+)')


class NoRunError(ValueError):
    """A folder in which no run left anything."""


@dataclass
class Start:
    """One start of a training or test: a folder with a log.

    Args:
        source: folder, relative to the run.
        log: what its log says.
        scalars: lines of its curves.
    """

    source: str
    log: Log
    scalars: list[Logged]

    @property
    def iterations(self) -> tuple[int, int] | None:
        """First and last iteration that was logged, None without training."""
        steps = [line.step for line in self.scalars if not line.is_validation]
        return (min(steps), max(steps)) if steps else None


@dataclass
class Checkpoint:
    """A file of weights.

    Args:
        source: file, relative to the run.
        size: bytes.
        written: when.
        chosen_by: name of the metric for which it was kept as the best, as far
            as a file's name holds it (``/`` is ``_``); '' for others.
        step: the epoch or iteration of such a one.
    """

    source: str
    size: int
    written: datetime
    chosen_by: str = ''
    step: int = 0


@dataclass
class Training:
    """Starts in one folder, of which later ones resume earlier ones.

    Args:
        name: the folder, relative to the run; '' for the run's own.
        starts: in order.
        curves: joined.
        config: text of the newest configuration, '' if none.
        config_source: its file, relative to the run.
    """

    name: str
    starts: list[Start]
    curves: Curves
    config: str = ''
    config_source: str = ''


@dataclass
class Run:
    """All that a run left in its folder.

    Args:
        folder: the folder.
        trainings: one, or one per folder below that holds runs.
        results: what JSON files say.
        checkpoints: by name.
        pictures: those that are shown.
        damaged: what is wrong, by file.
    """

    folder: Path
    trainings: list[Training]
    results: Results
    checkpoints: list[Checkpoint]
    pictures: Pictures
    damaged: dict[str, str] = field(default_factory=dict)


def read_run(folder: str | Path) -> Run:
    """Read a run's folder; damaged files are named, not fatal.

    Args:
        folder: ``work_dir`` of a training or a test.

    Raises:
        NoRunError: it is no folder, or no run left anything in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NoRunError(f'{folder} is no folder' if folder.exists() else
                         f'there is no folder {folder}')
    folder = folder.resolve()  # also '.' has a name then
    damaged: dict[str, str] = {}
    grouped: dict[str, list[Path]] = {}
    results = Results()
    checkpoints: list[Checkpoint] = []
    pictures: list[tuple[Path, str]] = []
    for place, files in _walk(folder):
        if place.name == 'vis_data':
            continue
        is_start = _log_of(place) is not None or (place / 'vis_data').is_dir()
        if is_start:
            name = '' if place == folder else _relative(place.parent, folder)
            grouped.setdefault(name, []).append(place)
        for path in files:
            source = _relative(path, folder)
            if path.suffix == '.pth':
                checkpoints.append(_checkpoint(path, source))
            elif path.suffix.lower() in ENDINGS:
                pictures.append((path, source))
            elif path.suffix == '.json' and not (
                    is_start and path.stem == place.name):
                try:
                    add_result(results, path, source)
                except OSError as error:
                    damaged[source] = _said(error)
    if not grouped:
        raise NoRunError(
            f'{folder} is no folder of a run: expected what train or test leaves '
            'there, a folder named by the time with a log and vis_data '
            '(20260131_120000/20260131_120000.log), in it or below')
    trainings = [_training(name, starts, folder, damaged)
                 for name, starts in grouped.items()]
    for training in trainings:
        _add_dumps(results, training.starts, folder)
    found = embed(pictures)
    return Run(folder, trainings, results, checkpoints, found,
               damaged | results.damaged | found.damaged)


def _walk(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Go through folders in order, without links to elsewhere."""
    for place, names, files in os.walk(folder):
        names.sort()
        yield Path(place), [path for name in sorted(files)
                            if (path := Path(place, name)).is_file()
                            and not path.is_symlink()]


def _training(name: str, places: list[Path], folder: Path, damaged: dict[str, str]
              ) -> Training:
    starts: list[Start] = []
    config: Path | None = None
    for place in sorted(places):
        log, scalars = Log(), list[Logged]()
        try:
            if path := _log_of(place):
                log = read_log(_bounded(path))
            if (path := place / 'vis_data' / 'scalars.json').is_file():
                scalars, wrong = read_scalars(_bounded(path))
                if wrong:
                    damaged[_relative(path, folder)] = wrong
        except OSError as error:
            damaged[_relative(place, folder)] = _said(error)
        starts.append(Start(_relative(place, folder), log, scalars))
        if (path := place / 'vis_data' / 'config.py').is_file():
            config = path
    curves = join([start.scalars for start in starts])
    if config is None:
        return Training(name, starts, curves)
    with config.open(encoding='utf-8', errors='replace') as file:
        text = file.read(MOST_CONFIG_BYTES)
    return Training(name, starts, curves, text, _relative(config, folder))


def _add_dumps(results: Results, starts: list[Start], folder: Path) -> None:
    """Add figures of tests of which only mmengine's own file tells.

    It keeps those of a start's last test alone; where there were several, which
    one it was is not known.
    """
    known = [evaluation.metrics for evaluation in results.evaluations]
    for start in starts:
        place = folder / start.source
        path = place / f'{place.name}.json'
        if start.log.tests > 1 or not path.is_file():
            continue
        found = read_dump(path, _relative(path, folder))
        if found and not any(_same(found.metrics, metrics) for metrics in known):
            found.about['decoder passes'] = (
                start.log.passes or 'decoder passes not logged')
            results.evaluations.append(found)


def _same(dump: dict, metrics: dict) -> bool:
    """Whether the numbers agree; mmengine writes some of them as null."""
    return dump.keys() == metrics.keys() and all(
        value is None or value == metrics[name] for name, value in dump.items())


def _log_of(place: Path) -> Path | None:
    named = place / f'{place.name}.log'
    return named if named.is_file() else None


def _checkpoint(path: Path, source: str) -> Checkpoint:
    state, best = path.stat(), _BEST.fullmatch(path.stem)
    written = datetime.fromtimestamp(state.st_mtime)
    if not best:
        return Checkpoint(source, state.st_size, written)
    return Checkpoint(source, state.st_size, written, best[1], int(best[3]))


def _relative(path: Path, folder: Path) -> str:
    """Return a path for the page; names of any bytes become text."""
    text = str(path.relative_to(folder))
    return '' if text == '.' else text.encode(errors='replace').decode()


def _bounded(path: Path) -> Path:
    """Return a path, or raise OSError where its file is too large to be read."""
    size = path.stat().st_size
    if size > MOST_LOG_BYTES:
        raise OSError(errno.EFBIG, f'{path.name} has {size / 1e6:,.0f} MB, more than '
                      f'the {MOST_LOG_BYTES / 1e6:g} that are read')
    return path


def _said(error: OSError) -> str:
    return error.strerror or type(error).__name__
