"""Do the trainings of a study that have no result yet."""
from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from ddp_perception.study.results import Results
from ddp_perception.study.settings import fingerprint
from ddp_perception.study.training import Job
from ddp_perception.workers import end_with_parent

Figures = dict[str, float | None]


def run_jobs(jobs: Sequence[Job], results: Results, processes: int = 1,
             progress: Callable[[str], None] = lambda text: None) -> int:
    """Run the jobs that have no line yet, and write one for each.

    Args:
        jobs: of one study, in the order in which they are begun.
        results: where lines are found and added.
        processes: how many train at once.
        progress: is told of every training.

    Returns:
        How many were run.

    Raises:
        OtherSettings: a line is there with other settings. Nothing has been
            trained then.
    """
    # All are looked up, and so checked, before the first one is trained.
    features = fingerprint(jobs[0].features.note['made_by']) if jobs else ''
    missing = [job for job in jobs if results.find(
        job.variant, job.seed, _settings(job, features)) is None]
    progress(f'{len(jobs) - len(missing)} of {len(jobs)} trainings are there')
    for number, (job, figures) in enumerate(
            _figures(missing, processes), 1):
        results.append(dict(variant=job.variant, seed=job.seed, metrics=figures,
                            settings=_settings(job, features)))
        progress(f'{number} of {len(missing)}: {job.variant}, seed {job.seed}: '
                 + _summary(figures))
    return len(missing)


def _settings(job: Job, features: str) -> dict[str, object]:
    """Return all that a line depends on but its seed."""
    return dict(job.settings, features=features)


def _figures(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Figures]]:
    """Yield each job with its figures, as they come."""
    if processes == 1:
        for job in jobs:
            yield job, job.run()
        return
    # A fork would inherit the threads' locks of torch.
    with ProcessPoolExecutor(
            processes, multiprocessing.get_context('spawn'),
            initializer=end_with_parent) as pool:
        running = {pool.submit(job.run): job for job in jobs}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _summary(figures: Figures) -> str:
    return ', '.join(f'{name} {value:.4g}' for name, value in figures.items()
                     if value is not None and name.endswith('/iou'))
