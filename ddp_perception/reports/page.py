"""Write a run as one HTML page that needs nothing else."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

from ddp_perception.evaluation.passes import describe_passes
from ddp_perception.reports.charts import Line, draw
from ddp_perception.reports.results import CURVES, Calibration, Evaluation
from ddp_perception.reports.run import Run, Training
from ddp_perception.reports.scalars import Series
from ddp_perception.reports.tables import Cell, Table, shown, sort_figures

MOST_CHARTS = 80
MOST_LOG_TABLES = 12
FOLDED_FROM = 30
"""Lines from which a table is folded."""


@dataclass
class Chart:
    """A drawn curve.

    Args:
        title: what it shows.
        data: address that holds the picture.
        words: the same in words, for those who do not see it.
    """

    title: str
    data: str
    words: str


@dataclass
class ChartGroup:
    """Charts under one heading; folded where they are details."""

    title: str
    charts: Sequence[Chart]
    is_folded: bool = False


def render_page(run: Run) -> str:
    """Return the page's HTML.

    All that comes from files is escaped. The page holds no script and asks for
    nothing from elsewhere, which its own security policy also forbids.

    Args:
        run: of `read_run`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    environment = Environment(
        loader=PackageLoader('ddp_perception.reports', '.'), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters['shown'] = shown
    text = environment.get_template('page.html').render(
        run=run, title=_title(run), summary=list(_summary(run)),
        figures=list(_figure_tables(run)), folded_from=FOLDED_FROM,
        calibrations=[
            (calibration.source,
             Table('Figures', ['', 'value'], list(calibration.figures.items())),
             list(_calibration_charts(calibration)))
            for calibration in run.results.calibrations],
        curves=[(training, _curves(training)) for training in run.trainings
                if training.curves.training or training.curves.validation],
        log_tables=list(_log_tables(run))[-MOST_LOG_TABLES:],
        has_grids=any(evaluation.figures.grids for evaluation in
                      run.results.evaluations),
        runs=_runs(run), checkpoints=_checkpoints(run),
        environments=list(_environments(run)))
    return text.encode(errors='replace').decode()  # half characters of JSON texts


def _title(run: Run) -> str:
    return run.folder.name or str(run.folder)


def _summary(run: Run) -> Iterator[str]:
    """Yield sentences about the whole run."""
    starts = [start for training in run.trainings for start in training.starts]
    begun = [start.log.begun for start in starts if start.log.begun]
    count = 'One start' if len(starts) == 1 else f'{len(starts)} starts'
    if begun:
        spent = sum((_spent(start.log.begun, start.log.ended) for start in starts),
                    timedelta())
        yield (f'{count}, the first on {min(begun):%d %B %Y at %H:%M}, '
               f'{duration(spent)} in all.')
    else:
        yield f'{count}; no log tells when.'
    for training in run.trainings:
        curves, where = training.curves, training.name and f' in {training.name}'
        if curves.iterations:
            epoch = '' if curves.epoch is None else f' (epoch {curves.epoch})'
            yield (f'Training{where} is logged up to iteration '
                   f'{curves.iterations}{epoch}.')
        single = sort_figures(_last(curves.validation)).single
        if single:
            last = max(series.steps[-1] for series in curves.validation.values())
            yield (f'Last validation{where}, {curves.unit} {last}: '
                   f'{_few_figures(single)}.')
    for evaluation in run.results.evaluations[:1]:
        single = evaluation.figures.single or evaluation.metrics
        passes = [_in_words(one) for one in evaluation.passes.values()] or [
            evaluation.about.get('decoder passes', '')]
        about = ', '.join(filter(None, [evaluation.source, *passes]))
        yield f'Test ({about}): {_few_figures(single)}.'
    for source, tables in run.results.demos.items():
        if not run.results.evaluations and tables:
            figures = {str(name): value for name, value, *_ in tables[0].rows}
            yield f'Demo ({source}): {_few_figures(figures)}.'
    devices = dict.fromkeys(device for start in starts
                            if (device := _device(start.log.environment)))
    if devices:
        yield f'Device: {", ".join(devices)}.'


def _few_figures(figures: Mapping[str, Cell]) -> str:
    parts = [f'{name} {shown(value)}' for name, value in figures.items()]
    more = len(parts) - 4
    return ', '.join(parts[:4]) + (f' and {more} more' if more > 0 else '')


def _figure_tables(run: Run) -> Iterator[Table]:
    yield from _tests(run.results.evaluations)
    for training in run.trainings:
        yield from _validation(run, training)


def _tests(evaluations: Sequence[Evaluation]) -> Iterator[Table]:
    """Yield the figures of all tests, side by side where they stand alone."""
    if not evaluations:
        return
    single = [evaluation.figures.single for evaluation in evaluations]
    names = dict.fromkeys(name for figures in single for name in figures)
    sources = [evaluation.source for evaluation in evaluations]
    if names:
        yield Table('Test', ['', *sources], [
            [name, *(figures.get(name) for figures in single)] for name in names])
    for evaluation in evaluations:
        for grid in evaluation.figures.grids:
            yield Table(f'Test: {grid.title}', grid.head, grid.rows, evaluation.source)
    keys = dict.fromkeys(key for evaluation in evaluations for key in evaluation.about)
    if keys:
        yield Table('What was tested', ['file', *keys], [
            [evaluation.source, *(evaluation.about.get(key, '') for key in keys)]
            for evaluation in evaluations if evaluation.about])
    passes = [[evaluation.source, name, *(one.get(key) for key in (
        'seeds', 'steps', 'averaged')), _in_words(one)]
        for evaluation in evaluations for name, one in evaluation.passes.items()]
    if passes:
        yield Table('Decoder passes', ['file', 'prediction', 'seeds', 'steps',
                                       'averaged', 'in words'], passes)


def _in_words(passes: Mapping[str, object]) -> str:
    seeds, steps, averaged = (passes.get(key) for key in (
        'seeds', 'steps', 'averaged'))
    if isinstance(seeds, int) and isinstance(steps, int) and isinstance(averaged, int):
        return describe_passes(seeds, steps, averaged)
    return ''


def _validation(run: Run, training: Training) -> Iterator[Table]:
    """Yield last, kept and extreme figures of the validations."""
    curves = training.curves
    title = f'Validation{training.name and f" of {training.name}"}'
    found = sort_figures(_last(curves.validation))
    best = [checkpoint for checkpoint in run.checkpoints if checkpoint.chosen_by
            and str(PurePath(checkpoint.source).parent) == (training.name or '.')]
    unit = curves.unit
    if found.single:
        yield Table(
            title, ['', 'last', *(f'kept as best by {one.chosen_by} ({unit} {one.step})'
                                  for one in best),
                    'least', f'at {unit}', 'greatest', f'at {unit}'],
            [[name, series.values[-1], *(series.at(one.step) for one in best),
              *series.least, *series.greatest]
             for name in found.single if (series := curves.validation[name])])
    for grid in found.grids:
        yield Table(f'{title}, the last: {grid.title}', grid.head, grid.rows)


def _last(series: Mapping[str, Series]) -> dict[str, int | float | None]:
    return {name: one.values[-1] for name, one in series.items()}


def _curves(training: Training) -> list[ChartGroup]:
    """Draw the curves of a training: what matters first, details folded."""
    curves = training.curves
    losses = {name: series for name, series in curves.training.items()
              if 'loss' in name}
    rates = {name: series for name, series in curves.training.items()
             if name.split('/')[-1] in ('lr', 'base_lr') and name not in losses}
    if rates.get('lr') == rates.get('base_lr'):  # of one parameter group
        rates.pop('base_lr', None)
    single = sort_figures(_last(curves.validation)).single
    left = MOST_CHARTS
    groups = []
    for title, series, unit, is_folded in (
            ('Losses', dict(sorted(losses.items(), key=lambda item: item[0] != 'loss')),
             'iteration', False),
            ('Learning rate', rates, 'iteration', False),
            ('Validation', {name: one for name, one in curves.validation.items()
                            if name in single}, curves.unit, False),
            ('Validation, figures of tables',
             {name: one for name, one in curves.validation.items()
              if name not in single}, curves.unit, True),
            ('Other training figures',
             {name: one for name, one in curves.training.items()
              if name not in losses and name not in ('lr', 'base_lr', *rates)},
             'iteration', True)):
        names = list(series)[:left]
        left -= len(names)
        if names:
            title += '' if len(names) == len(series) else (
                f' ({len(names)} of {len(series)})')
            groups.append(ChartGroup(
                title, [_chart(name, series[name], unit) for name in names],
                is_folded))
    return groups


def _chart(name: str, series: Series, unit: str) -> Chart:
    (least, least_at), (greatest, greatest_at) = series.least, series.greatest
    words = (f'{name} from {shown(series.values[0])} at {unit} {series.steps[0]} to '
             f'{shown(series.values[-1])} at {unit} {series.steps[-1]}; least '
             f'{shown(least)} at {least_at}, greatest {shown(greatest)} at '
             f'{greatest_at}')
    return Chart(name, draw([Line(series.steps, series.values)], unit), words)


def _calibration_charts(calibration: Calibration) -> Iterator[Chart]:
    for kind, named in calibration.curves.items():
        across, upward, *reference = CURVES[kind]
        for name, data in named.items():
            lines = [Line(data[across], data[upward], upward if reference else ''),
                     *(Line(data[across], data[axis], axis, is_reference=True)
                       for axis in reference)]
            if kind == 'reliability':  # where probabilities are true
                lines.append(Line([0, 1], [0, 1], is_reference=True))
            title = f'{kind.replace("_", " ")}: {name}'
            ends = [(x, y) for x, y in zip(data[across], data[upward], strict=True)
                    if x is not None and y is not None]
            words = title if not ends else (
                f'{title}; {upward} from {shown(ends[0][1])} at {across} '
                f'{shown(ends[0][0])} to {shown(ends[-1][1])} at {shown(ends[-1][0])}')
            yield Chart(title, draw(lines, across, upward), words)


def _log_tables(run: Run) -> Iterator[Table]:
    """Yield printed tables, of each kind the last."""
    found = {(training.name, table.title, tuple(table.head), table.note):
             (start.source, table) for training in run.trainings
             for start in training.starts for table in start.log.tables}
    for source, table in found.values():
        yield Table(table.title or 'Table', table.head, table.rows,
                    f'log of {source or "this folder"}'
                    f'{table.note and "; "}{table.note}')


def _runs(run: Run) -> Table:
    rows: list[list[Cell]] = []
    for training in run.trainings:
        for start in training.starts:
            log, steps = start.log, start.iterations
            rows.append([
                start.source or 'this folder',
                f'{log.begun:%Y-%m-%d %H:%M:%S}' if log.begun else None,
                duration(_spent(log.begun, log.ended)) if log.begun else None,
                f'{steps[0]} to {steps[1]}' if steps else 'none logged',
                _device(log.environment) or None])
    return Table('Starts', ['folder', 'begun', 'duration', 'training iterations',
                            'device'], rows)


def _checkpoints(run: Run) -> Table | None:
    if not run.checkpoints:
        return None
    return Table('Checkpoints', ['file', 'MB', 'written', 'kept as best by'], [
        [one.source, f'{one.size / 1e6:.2f}', f'{one.written:%Y-%m-%d %H:%M:%S}',
         one.chosen_by] for one in run.checkpoints])


def _environments(run: Run) -> Iterator[Table]:
    """Yield the first start's environment, and how that of others differs."""
    before: dict[str, str] = {}
    for training in run.trainings:
        for start in training.starts:
            found = start.log.environment
            new = {key: value for key, value in found.items()
                   if before.get(key) != value}
            if new:
                yield Table(f'Log of {start.source or "this folder"}'
                            + (', what differs' if before else ''),
                            ['', 'as the log says'], list(new.items()))
            before = found or before


def _device(environment: Mapping[str, str]) -> str:
    """Return the GPUs that a log names, 'CPU' where there was none."""
    gpus = [value for key, value in environment.items()
            if key.startswith('GPU ') and key != 'GPU number']
    if gpus:
        return ', '.join(gpus)
    return 'CPU' if environment.get('CUDA available') == 'False' else ''


def _spent(begun: datetime | None, ended: datetime | None) -> timedelta:
    return ended - begun if begun and ended else timedelta()


def duration(spent: timedelta) -> str:
    """Return a time in its two greatest units."""
    seconds = max(0, int(spent.total_seconds()))
    parts = _units(seconds, (('d', 86400), ('h', 3600), ('min', 60), ('s', 1)))
    return ' '.join(parts[:2]) or '0 s'


def _units(seconds: int, units: Iterable[tuple[str, int]]) -> list[str]:
    """Split a time, from the first unit on that it fills."""
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f'{count} {name}')
    return parts
