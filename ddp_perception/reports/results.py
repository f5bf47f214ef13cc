"""JSON files of a run, known by what they hold and not by their names."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ddp_perception.reports.scalars import TIMES
from ddp_perception.reports.tables import (
    Figures,
    Table,
    number,
    sort_figures,
    tables_of,
)

MOST_BYTES = 16_000_000
"""Of a file of figures; a larger one is a data set's."""


@dataclass
class Evaluation:
    """Figures of one test, as ``test --out`` or mmengine wrote them.

    Args:
        source: file, relative to the run.
        metrics: by name; None is no number.
        passes: seeds, steps and averaged passes by predicted field.
        about: checkpoint, configuration and changed settings.
    """

    source: str
    metrics: dict[str, int | float | None]
    passes: dict[str, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> Figures:
        """The metrics, sorted into tables."""
        return sort_figures(self.metrics)


@dataclass
class Calibration:
    """Curves of a calibration metric.

    Args:
        source: file, relative to the run.
        figures: by name.
        curves: kind, then name, then lists of numbers by axis: ``reliability``,
            ``risk_coverage``, ``sparsification``.
    """

    source: str
    figures: dict[str, int | float | None]
    curves: dict[str, dict[str, dict[str, list]]]


@dataclass
class Results:
    """All results of a run's folder.

    Args:
        evaluations: figures of tests.
        calibrations: curves of calibration metrics.
        probes: tables of each file that ``probe`` wrote.
        demos: tables of each report of a demo.
        damaged: what is wrong, by file.
    """

    evaluations: list[Evaluation] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    probes: dict[str, list[Table]] = field(default_factory=dict)
    demos: dict[str, list[Table]] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


def add_result(results: Results, path: Path, source: str) -> None:
    """Read a JSON file and add what it is; what is unknown is left out.

    Args:
        results: takes it, or what is wrong with the file.
        path: the file.
        source: its name on the page.
    """
    if path.stat().st_size > MOST_BYTES:
        return
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        results.damaged[source] = f'no JSON ({type(error).__name__}: {error})'
        return
    if not isinstance(content, Mapping):
        return
    metrics, figures = content.get('metrics'), content.get('figures')
    if isinstance(metrics, Mapping) and 'checkpoint' in content:
        results.evaluations.append(_evaluation(source, metrics, content))
    elif isinstance(figures, Mapping) and content.keys() & set(CURVES):
        results.calibrations.append(
            Calibration(source, _numbers(figures), _curves(content)))
    elif isinstance(content.get('variations'), list) and isinstance(
            content.get('sentences'), list):
        results.probes[source] = _probe(content)
    elif isinstance(content.get('decoder_passes'), str) and any(
            number(value) is not None for value in content.values()):
        results.demos[source] = tables_of('demo', content)


CURVES = {'reliability': ('probability', 'frequency'),
          'risk_coverage': ('coverage', 'risk'),
          'sparsification': ('kept', 'error', 'oracle')}
"""Axes of each kind of curve: along x, then along y."""

PROBE_COLUMNS = {'compared with': 'reference', 'better by (share)': 'gain',
                 'decided apart (share)': 'apart', 'standard deviation': 'spread',
                 'seconds': 'seconds'}
"""Of a variation: title of the column, and key in the file."""


def read_dump(path: Path, source: str) -> Evaluation | None:
    """Read the figures that mmengine writes after a test, None if none."""
    if path.stat().st_size > MOST_BYTES:
        return None
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping):
        return None
    metrics = {name: value for name, value in _numbers(content).items()
               if name not in TIMES}
    return Evaluation(source, metrics) if metrics else None


def _evaluation(source: str, metrics: Mapping, content: Mapping) -> Evaluation:
    options = content.get('cfg_options')
    about = {key: str(content[key]) for key in ('checkpoint', 'configuration')
             if content.get(key)}
    if isinstance(options, list) and options:
        about['changed settings'] = ' '.join(map(str, options))
    passes = content.get('decoder_passes')
    return Evaluation(source, _numbers(metrics), {
        str(name): {key: number(value.get(key)) for key in value}
        for name, value in passes.items() if isinstance(value, Mapping)
    } if isinstance(passes, Mapping) else {}, about)


def _probe(content: Mapping) -> list[Table]:
    """Show the verdict of a probe, what was probed, and a line per variation."""
    metric = content.get('metric')
    name = str(metric.get('name')) if isinstance(metric, Mapping) else 'figure'
    lines = []
    for item in content['variations']:
        if isinstance(item, Mapping):
            figures = item.get('metrics')
            lines.append({
                'variation': item.get('label'),
                name: figures.get(name) if isinstance(figures, Mapping) else None,
                **{title: item.get(key) for title, key in PROBE_COLUMNS.items()}})
    verdict = [[sentence] for sentence in content['sentences']
               if isinstance(sentence, str)]
    about = {key: content.get(key) for key in (
        'checkpoint', 'configuration', 'head', 'samples') if key in content}
    return [*([Table('probe: verdict', ['in words'], verdict)] if verdict else []),
            *(tables_of('probe', about) if about else []),
            *tables_of('probe: variations', lines)]


def _numbers(values: Mapping) -> dict[str, int | float | None]:
    return {str(name): number(value) for name, value in values.items()
            if value is None or number(value) is not None
            or isinstance(value, float)}


def _curves(content: Mapping) -> dict[str, dict[str, dict[str, list]]]:
    curves: dict[str, dict[str, dict[str, list]]] = {}
    for kind, axes in CURVES.items():
        named = content.get(kind)
        for name, data in named.items() if isinstance(named, Mapping) else ():
            lists = {axis: list(map(number, data[axis])) for axis in axes if isinstance(
                data.get(axis), list)} if isinstance(data, Mapping) else {}
            if len(lists) == len(axes) and len(set(map(len, lists.values()))) == 1:
                curves.setdefault(kind, {})[str(name)] = lists
    return curves
