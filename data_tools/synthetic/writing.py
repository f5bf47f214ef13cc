"""Works through the drives of a set, in one process or several."""
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_tools.synthetic.folder import claim, complete, part_path, write_json
from ddp_perception.progress import hides_bar
from ddp_perception.workers import end_with_parent

Progress = Callable[[], None]
Job = Callable[[Progress], object]




_COUNTER: Any = None


def _begin_worker(counter: Any) -> None:
    global _COUNTER
    _COUNTER = counter
    end_with_parent()  # it would write on beside the run that continues


def _count() -> None:
    with _COUNTER.get_lock():
        _COUNTER.value += 1


def _in_worker(job: Job) -> None:
    job(_count)


def _write_part(out: Path, name: str, drive: Job, progress: Progress) -> None:
    """Write one drive; its records appear last, so they mean it is done."""
    write_json(part_path(out, name), drive(progress))


def _run(jobs: Sequence[Job], workers: int, bar: tqdm) -> None:
    if workers == 1:
        for job in jobs:
            job(lambda: bar.update(1))
        return
    # Spawned, not forked: the caller may hold threads.
    context = multiprocessing.get_context('spawn')
    counter = context.Value('q', 0)
    with ProcessPoolExecutor(workers, context, _begin_worker,
                             (counter,)) as pool:
        futures = [pool.submit(_in_worker, job) for job in jobs]
        shown = 0
        try:
            while True:
                done = [future for future in futures if future.done()]
                for future in done:
                    future.result()  # raises what the worker raised
                bar.update(counter.value - shown)
                shown = counter.value
                if len(done) == len(futures):
                    return
                time.sleep(.1)
        finally:
            pool.shutdown(cancel_futures=True)


def write_set(out: str | Path, options: dict, drives: dict[str, Job],
              finish: Callable[[list], None], *, frames: int,
              others: Sequence[Job] = (), title: str, unit: str = 'frame',
              workers: int = 1, overwrite: bool = False, progress: bool = True) -> Path:
    """Write a set drive by drive.

    A complete set with the same options is left alone; an interrupted one is
    continued at its first unfinished drive.

    Args:
        out: Root to write.
        options: JSON-ready; a set with equal options is the same set.
        drives: Drive name -> function that writes the drive's files, calls its
            argument after each frame, and returns JSON-ready records. It must
            be picklable for several workers.
        finish: Called with the records of all drives, in order.
        frames: Per drive.
        others: What else to write meanwhile.
        title, unit: Text and unit of the progress bar.
        workers: Processes.
        overwrite: Replace a synthetic set that has other options; anything
            else is never deleted.
        progress: Show a bar.

    Returns:
        The root.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: workers is less than 1.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    out = Path(out)
    if claim(out, options, overwrite):
        return out
    todo = {name: drive for name, drive in drives.items()
            if not part_path(out, name).exists()}
    jobs = [partial(_write_part, out, name, drive)
            for name, drive in todo.items()]
    with tqdm(total=len(drives) * frames, desc=title, unit=unit,
              initial=(len(drives) - len(todo)) * frames,
              disable=hides_bar(progress)) as bar:
        _run([*jobs, *others], workers, bar)
    finish([json.loads(part_path(out, name).read_text())
            for name in drives])
    complete(out, options)
    return out
