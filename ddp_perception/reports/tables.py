"""Tables of whatever figures a file holds, without knowing the task."""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Cell: TypeAlias = str | int | float | None

MEAN = 'mean'
"""Line of a table whose figures stand alone too."""

MOST_ROWS = 200
MOST_TABLES = 40
MOST_LEVELS = 6
_NUMBER = re.compile(r'|[-+]?[\d.]+(e[-+]?\d+)?\s*%?')


@dataclass
class Table:
    """One table of the page.

    Args:
        title: what it shows.
        head: a name per column.
        rows: cells of each line; the first names it. None is no value.
        note: where it comes from.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ''

    @property
    def are_numbers(self) -> list[bool]:
        """Whether each column holds nothing but numbers, printed ones included."""
        return [all(cell is None or not isinstance(cell, str) or _NUMBER.fullmatch(cell)
                    for cell in column) for column in zip(*self.rows)]


def number(value: object) -> int | float | None:
    """Return a JSON number as it is, None for anything else and for NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else value
    except OverflowError:  # an integer that no float can hold
        return None


def shown(value: Cell) -> str:
    """Return a cell's text: four significant digits, whole numbers in full."""
    if value is None:
        return '–'
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return '∞' if value > 0 else '-∞'
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    if not 1e-4 <= abs(value) < 1e9:
        return f'{value:.3e}'
    before_point = math.floor(math.log10(abs(value))) + 1
    return f'{value:.{max(0, 4 - before_point)}f}'


@dataclass
class Figures:
    """Metrics of one evaluation, sorted into tables.

    Args:
        single: metrics that stand alone, and those of a line named 'mean'.
        grids: tables of those named ``group/row/column``, such as each class's.
    """

    single: dict[str, int | float | None] = field(default_factory=dict)
    grids: list[Table] = field(default_factory=list)


def sort_figures(metrics: Mapping[str, int | float | None]) -> Figures:
    """Find the tables that names of metrics form.

    ``map/divider/iou@max`` is the column ``iou@max`` of the line ``divider`` in
    the table ``map``, provided that another line has that column too.

    Args:
        metrics: values by name.
    """
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for name in metrics:
        *group, row, column = ['', *name.split('/')]
        if group[1:]:
            rows = groups.setdefault('/'.join(group[1:]), {})
            rows.setdefault(row, {})[column] = name
    found = Figures()
    taken: set[str] = set()
    for group_name, rows in groups.items():
        columns = dict.fromkeys(column for row in rows.values() for column in row)
        shared = [column for column in columns
                  if sum(column in row for row in rows.values()) > 1]
        if not shared:
            continue
        lines = {name: [row.get(column) for column in shared]
                 for name, row in rows.items() if row.keys() & set(shared)}
        taken |= {key for row, line in lines.items() if row != MEAN
                  for key in line if key}
        found.grids.append(Table(group_name, ['', *shared], [
            [name, *(None if key is None else metrics[key] for key in line)]
            for name, line in lines.items()]))
    found.single = {name: value for name, value in metrics.items()
                    if name not in taken}
    return found


def tables_of(title: str, value: Any) -> list[Table]:
    """Show any JSON value as tables.

    Scalars of an object make one table. Objects beside each other that have the
    same keys are the columns of one; a list of objects has a line for each;
    lists of one length are columns. What is deeper makes tables of its own.

    Args:
        title: of the tables, before the keys that lead to each.
        value: what a JSON file holds.
    """
    return list(_tables(title, value, MOST_LEVELS))[:MOST_TABLES]


def _tables(title: str, value: Any, levels: int) -> Iterable[Table]:
    if not levels:
        return
    if isinstance(value, list):
        yield from _of_list(title, value)
        return
    if not isinstance(value, Mapping):
        yield _table(title, ['value'], [[_cell(value)]])
        return
    plain = {key: item for key, item in value.items() if _is_plain(item)}
    if plain:
        yield _table(title, ['', 'value'],
                     [[key, _cell(item)] for key, item in plain.items()])
    for names in _alike(value):
        heading = f'{title}: {", ".join(names)}'
        first = value[names[0]]
        if isinstance(first, Mapping):
            yield _table(heading, ['', *names], [
                [key, *(_cell(value[name][key]) for name in names)] for key in first])
        else:
            yield _table(heading, names, [
                [_cell(item) for item in line]
                for line in zip(*(value[name] for name in names), strict=True)])
    together = {name for names in _alike(value) for name in names}
    for key, item in value.items():
        if key not in together and key not in plain:
            yield from _tables(f'{title}: {key}', item, levels - 1)


def _of_list(title: str, value: list) -> Iterable[Table]:
    if value and all(isinstance(item, Mapping) for item in value):
        keys = list(dict.fromkeys(key for item in value for key in item))
        if not keys:
            return
        yield _table(title, keys, [[_cell(item.get(key)) for key in keys]
                                   for item in value])
    elif any(item != [] for item in value):
        rows = [item if isinstance(item, list) else [item] for item in value]
        width = max(map(len, rows))
        yield _table(title, [str(column + 1) for column in range(width)], [
            [_cell(item) for item in row] + [None] * (width - len(row))
            for row in rows])


def _alike(value: Mapping[str, Any]) -> list[list[str]]:
    """Return the keys of plain objects and lists that fit into one table each."""
    groups: dict[tuple, list[str]] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item and all(map(_is_plain, item.values())):
            groups.setdefault(('object', *item), []).append(key)
        elif isinstance(item, list) and item and all(map(_is_plain, item)):
            groups.setdefault(('list', len(item)), []).append(key)
    return list(groups.values())


def _table(title: str, head: Sequence[str], rows: list[list[Cell]]) -> Table:
    left = len(rows) - MOST_ROWS
    return Table(title, head, rows[:MOST_ROWS],
                 f'{left} more lines are in the file' if left > 0 else '')


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _cell(value: object) -> Cell:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, int | float):
        return number(value)
    if value is None or isinstance(value, str):
        return value
    count = len(value) if isinstance(value, list | Mapping) else 0
    return f'({count} values)'
