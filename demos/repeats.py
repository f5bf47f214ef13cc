"""The figures of several trainings of a demo: their mean and range."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

SPREAD: dict[str, Callable[[Sequence[float]], float]] = {
    'mean': fmean, 'least': min, 'most': max}
"""What is said of a figure over several trainings."""
_TOTAL = 'seconds_total'  # says nothing where a training was reused


def spread_of(reports: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return `SPREAD` of reports that have the same figures.

    Args:
        reports: of one training each.

    Returns:
        For each name of `SPREAD` a report whose numbers with a fraction are those
        of all; the rest is as in the first.
    """
    return {name: {key: _reduced([report[key] for report in reports], reduce)
                   for key in reports[0] if key != _TOTAL}
            for name, reduce in SPREAD.items()}


def _reduced(values: Sequence[Any], reduce: Callable[[Sequence[float]], float]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return {key: _reduced([value[key] for value in values], reduce)
                for key in first}
    return round(reduce(values), 5) if isinstance(first, float) else first


def figures_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a report that `spread_of` reduces."""
    found = {key: figures_of(value) if isinstance(value, dict) else value
             for key, value in report.items() if isinstance(value, (dict, float))}
    return {key: value for key, value in found.items() if value != {}}


def spread_rows(tables: Sequence[list[list[str]]]) -> list[list[str]]:
    """Merge the tables of `spread_of` into one: "mean (least to most)".

    Args:
        tables: of the mean, of the least and of the most; alike but for numbers.
    """
    return [[mean if mean == least == most else f'{mean} ({least} to {most})'
             for mean, least, most in zip(*rows, strict=True)]
            for rows in zip(*tables, strict=True)]
