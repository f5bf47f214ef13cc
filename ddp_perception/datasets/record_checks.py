"""Check many records of a file at once; the first wrong one is named.

A kind judges a field of all records together. Only where it says no is the
first wrong value looked for.
"""
from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from .value_kinds import Kind

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """Return a value as a short text of one line."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= 16 else (
            f'array of shape {value.shape}')
    return ' '.join(_SHORT.repr(value).split())


class Records:
    """Dictionaries of one kind out of a file, with a way to name each.

    Args:
        items: The dictionaries, not yet known to be that.
        name: Name of a record.

    Raises:
        ValueError: one is not a dictionary; names it.
    """

    def __init__(self, items: list[Any], name: Callable[[int], str]) -> None:
        self.items, self.name = items, name
        if not set(map(type, items)) <= {dict}:
            index = next(i for i, item in enumerate(items)
                         if not isinstance(item, dict))
            raise ValueError(f'{name(index)} must be a record with named fields, '
                             f'got {shown(items[index])}')

    def __len__(self) -> int:
        return len(self.items)

    def check(self, key: str, kind: Kind, optional: bool = False) -> list[Any]:
        """Check a field of every record.

        Args:
            key: The field.
            kind: What it must be.
            optional: It may be missing or None; in `child` and
                `children` only missing.

        Returns:
            The values; only those that are there where optional.

        Raises:
            ValueError: names the first record that lacks it or has another
                value, and what was expected.
        """
        values, owners = self._values(key, optional)
        if values and not kind.holds(values):
            wrong = _first_wrong(kind, values)
            index = wrong if owners is None else owners[wrong]
            raise ValueError(f'{self.at(index, key)} must be {kind.expected}, got '
                             f'{shown(values[wrong])}')
        return values

    def child(self, key: str, optional: bool = False) -> Records:
        """Return the records that a field holds, one each."""
        values, owners = self._values(key, optional, none=False)
        return Records(values, lambda i: self.at(_owner(owners, i), key))

    def children(self, key: str, container: type[list] | type[dict] = list,
                 optional: bool = False) -> Records:
        """Return the records in a field's list or dictionary, of all records.

        Args:
            key: The field.
            container: list or dict, which it must be.
            optional: It may be missing.

        Raises:
            ValueError: see `child`; or the field is no such container.
        """
        values, owners = self._values(key, optional, none=False)
        if not set(map(type, values)) <= {container}:
            wrong = next(i for i, value in enumerate(values)
                         if type(value) is not container)
            kind = 'list' if container is list else 'dictionary'
            raise ValueError(f'{self.at(_owner(owners, wrong), key)} must be a {kind} '
                             f'of records, got {shown(values[wrong])}')
        items: list[Any] = []
        ends: list[int] = []
        for value in values:
            items += value if container is list else value.values()
            ends.append(len(items))

        def name(index: int) -> str:
            group = int(np.searchsorted(ends, index, side='right'))
            place = index - (ends[group - 1] if group else 0)
            step = (f'[{place}]' if container is list
                    else f'.{_plain(list(values[group])[place])}')
            return self.at(_owner(owners, group), key) + step

        return Records(items, name)

    def require_known(self, names: Collection[str]) -> None:
        """Raise ValueError where a record has a field of another name."""
        for index, item in enumerate(self.items):
            odd = [key for key in item if key not in names]
            if odd:
                raise ValueError(f'{self.at(index, _plain(odd[0]))} is no field that '
                                 f'is known; there are {", ".join(names)}')

    def at(self, index: int, key: str) -> str:
        """Name a field of a record."""
        name = self.name(index)
        return f'{name}: {key}' if name.endswith(')') else f'{name}.{key}'

    def _values(self, key: str, optional: bool, none: bool = True
                ) -> tuple[list[Any], list[int] | None]:
        """Return the values of a field and, if some lack it, their records."""
        absent = None if none else self  # which no file holds
        try:
            values = [item[key] for item in self.items]
        except KeyError:
            if not optional:
                index = next(i for i, item in enumerate(self.items)
                             if key not in item)
                raise ValueError(f'{self.at(index, key)} is missing') from None
            values = [item.get(key, absent) for item in self.items]
        if optional and any(value is absent for value in values):
            owners = [i for i, value in enumerate(values) if value is not absent]
            return [values[i] for i in owners], owners
        return values, None


def check_fields(records: Records, fields: Mapping[str, Any],
                 required: Collection[str], closed: bool = False,
                 prefix: str = '') -> None:
    """Check records against a description of their fields.

    Args:
        records: What to check.
        fields: By name its `Kind`, a record of fields, or those of the records in
            a list (the name ends in []) or dictionary ({}).
        required: Names of fields that must be there, those of inner records as
            'outer.inner'.
        closed: Refuse fields that are not described.
        prefix: Of the names in `required`; for inner records.

    Raises:
        ValueError: names the first record that is wrong, field and value.
    """
    if not len(records):
        return
    if closed:
        records.require_known([field.rstrip('[]{}') for field in fields])
    for field, kind in fields.items():
        key = field.rstrip('[]{}')
        path = f'{prefix}{key}'
        optional = path not in required
        if isinstance(kind, Kind):
            records.check(key, kind, optional)
            continue
        inner = records.child(key, optional) if key == field else records.children(
            key, list if field[-1] == ']' else dict, optional)
        check_fields(inner, kind, required, closed, f'{path}.')


def require_same_keys(records: Records, key: str, what: str) -> None:
    """Check that a dictionary has the same keys in all records.

    Args:
        records: Each has that field.
        key: The field.
        what: What the keys are, for the message.

    Raises:
        ValueError: names the first record whose keys are not those of the first.
    """
    for index, item in enumerate(records.items):
        odd = item[key].keys() ^ records.items[0][key].keys()
        if odd:
            raise ValueError(f'{records.at(index, key)} must hold the {what} of '
                             f'frame 0, they differ in {shown(sorted(map(str, odd)))}')


def table_of(items: object, name: str) -> Records:
    """Return the records of a table, each named by its index and token.

    Args:
        items: What the file holds; must be a list of dictionaries.
        name: Of the table.

    Raises:
        ValueError: it is not; names the table.
    """
    if not isinstance(items, list):
        raise ValueError(f'{name} must be a list of records, got {shown(items)}')
    return Records(items, lambda index: labelled(items, index, f'{name} record'))


def labelled(items: list[Any], index: int, kind: str) -> str:
    """Return what to call a record: its kind, index and token."""
    item = items[index]
    token = item.get('token') if isinstance(item, dict) else None
    return f'{kind} {index} (token {shown(token)})'


def _plain(key: object) -> str:
    """Return a key as it is where it is a word, quoted otherwise."""
    return key if isinstance(key, str) and key.isidentifier() else shown(key)


def _owner(owners: list[int] | None, index: int) -> int:
    return index if owners is None else owners[index]


def _first_wrong(kind: Kind, values: list[Any]) -> int:
    """Return the index of the first wrong value, of which there is one."""
    low, high = 0, len(values)  # values[:low] are right, values[:high] not
    while high - low > 1:
        middle = (low + high) // 2
        if kind.holds(values[low:middle]):
            low = middle
        else:
            high = middle
    return low
