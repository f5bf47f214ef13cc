"""Check many records of a file at once; the first wrong one is named.

A kind of value says whether a whole list of values is right, in one pass of
NumPy, so that checking a million records takes about as long as reading them.
Only where the answer is no is the first wrong value looked for.
"""
from __future__ import annotations

import itertools
import reprlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

FARTHEST = 1e8
"""Metres. Global coordinates beyond it are absurd: the Earth's projected
coordinates end at 2e7."""

LATEST = 4_102_444_800
"""Seconds since 1970: the year 2100. A time in microseconds is beyond it."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3


def shown(value: object) -> str:
    """Return a value as a short text of one line."""
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= 16 else (
            f'array of shape {value.shape}')
    return ' '.join(_SHORT.repr(value).split())


class Kind:
    """What a value may be.

    Attributes:
        expected: In words, for the message.
    """

    expected = 'a value'

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether every one of a list of values is right."""
        raise NotImplementedError


class Text(Kind):
    """A string that can name something: not empty, no NUL, at most 4096 long.

    Args:
        part: It must be a single part of a path.
        empty: The empty string is right too.
    """

    def __init__(self, part: bool = False, empty: bool = False) -> None:
        self.part, self.empty = part, empty
        self.expected = ('a name without "/" that does not begin with "."' if part
                         else 'a text' if empty else 'a text that is not empty')

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether all are such texts."""
        if not all(issubclass(kind, str) for kind in set(map(type, values))):
            return False
        different = set(values)
        if not self.empty and '' in different:
            return False
        if self.part and any(text[:1] == '.' or '/' in text or '\\' in text
                             for text in different):
            return False
        if max(map(len, different), default=0) > 4096:
            return False
        everything = ''.join(different)
        return '\0' not in everything and _encodes(everything)


class Texts(Kind):
    """A list of strings."""

    expected = 'a list of texts'

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether all are such lists."""
        return set(map(type, values)) <= {list, tuple} and all(
            issubclass(kind, str)
            for kind in set(map(type, itertools.chain.from_iterable(values))))


class Number(Kind):
    """A finite number.

    Args:
        least, greatest: Bounds, both allowed.
        whole: An integer.
    """

    def __init__(self, least: float = -FARTHEST, greatest: float = FARTHEST,
                 whole: bool = False) -> None:
        self.least, self.greatest = least, greatest
        self.kinds: tuple[type, ...] = (int, np.integer) if whole else (
            int, float, np.integer, np.floating)
        self.expected = (f'{"an integer" if whole else "a number"} from '
                         f'{least:.10g} to {greatest:.10g}')

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether all are such numbers; True and False are not."""
        kinds = set(map(type, values))
        if bool in kinds or not all(issubclass(kind, self.kinds)
                                    for kind in kinds):
            return False
        return all(self.least <= bound <= self.greatest
                   for bound in _bounds(values))


class Truth(Kind):
    """True or False."""

    expected = 'true or false'

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether all are truth values."""
        return set(map(type, values)) <= {bool, np.bool_}


class Array(Kind):
    """Nested lists or an array of finite numbers.

    Args:
        *shapes: Of which it must have one.
        least, greatest: Bounds of the numbers, both allowed.
        nan: NaN is right too.
    """

    def __init__(self, *shapes: tuple[int, ...], least: float = -FARTHEST,
                 greatest: float = FARTHEST, nan: bool = False) -> None:
        self.shapes, self.nan = shapes, nan
        self.least, self.greatest = least, greatest
        sizes = ' or '.join('x'.join(map(str, shape)) for shape in shapes)
        self.expected = (f'{sizes} {"" if nan else "finite "}numbers from '
                         f'{least:.10g} to {greatest:.10g}')

    def holds(self, values: Sequence[Any]) -> bool:
        """Tell whether all are such arrays."""
        return all(self._right(stack) for stack in _stacks(values))

    def _right(self, stack: np.ndarray) -> bool | np.bool_:
        if stack.dtype.kind not in 'iuf' or stack.shape[1:] not in self.shapes:
            return False
        within = (stack >= self.least) & (stack <= self.greatest)
        if self.nan:
            within |= np.isnan(stack)
        return within.all() and self.agrees(stack)

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether an array (n, *shape) of finite numbers is right."""
        return True


class Pose(Array):
    """A rigid 4x4 transform: rotation without mirror or scale, translation.

    Args:
        reach: Metres; the greatest translation along an axis.
    """

    def __init__(self, reach: float = FARTHEST) -> None:
        super().__init__((4, 4), least=-max(reach, 1.01),
                         greatest=max(reach, 1.01))
        self.expected = ('4x4 finite numbers: a rotation (to 0.001), a translation '
                         f'of at most {reach:g} m, last row 0, 0, 0, 1')

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether the (n, 4, 4) are rigid."""
        turns = stack[:, :3, :3].astype(float)
        gram = turns.transpose(0, 2, 1) @ turns
        volume = np.einsum('ni,ni->n', turns[:, :, 2],
                           np.cross(turns[:, :, 0], turns[:, :, 1]))
        return (np.abs(gram - np.eye(3)).max(initial=0) <= 1e-3
                and volume.min(initial=1) > 0
                and np.abs(stack[:, 3] - [0, 0, 0, 1]).max(initial=0) <= 1e-6)


class Intrinsics(Array):
    """A camera matrix in pixels, 3x3 (or padded to 3x4 or 4x4)."""

    MOST = 1e6

    def __init__(self) -> None:
        super().__init__((3, 3), (3, 4), (4, 4), least=-self.MOST,
                         greatest=self.MOST)
        self.expected = ('3x3 finite numbers: focal lengths above 0 and at most '
                         f'{self.MOST:g} pixels, third row 0, 0, 1')

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether focal lengths are positive and rows as they must be."""
        core = stack[:, :3, :3]
        return ((core[:, [0, 1], [0, 1]] > 0).all()
                and np.abs(core[:, 2] - [0, 0, 1]).max(initial=0) <= 1e-6)


class Rotation(Array):
    """A unit quaternion w, x, y, z."""

    def __init__(self) -> None:
        super().__init__((4, ), least=-1.01, greatest=1.01)
        self.expected = '4 finite numbers, a quaternion of length 1 (to 0.01)'

    def agrees(self, stack: np.ndarray) -> bool | np.bool_:
        """Tell whether their length is 1."""
        return np.abs(np.linalg.norm(stack, axis=1) - 1).max(initial=0) <= .01


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


def _bounds(values: Sequence[Any]) -> tuple[float, ...]:
    """Return the least and greatest number; NaN if there is one."""
    if not values:
        return ()
    try:
        numbers = np.array(values, float)
    except OverflowError:  # an integer of more than 308 digits
        return (float('inf'), )
    return numbers.min(), numbers.max()


def _stacks(values: Sequence[Any]) -> Iterator[np.ndarray]:
    """Yield arrays (n, *shape), one for each shape among the values."""
    try:
        yield np.asarray(values)
        return
    except (ValueError, OverflowError, RecursionError):
        groups: dict[tuple[int, ...], list[np.ndarray]] = {}
    for value in values:
        try:
            one = np.asarray(value)
        except (ValueError, OverflowError, RecursionError):
            yield np.empty((1, 0), object)  # ragged: of no shape
            return
        groups.setdefault(one.shape, []).append(one)
    if len(groups) == 1:  # not the shapes, something else
        yield np.empty((1, 0), object)
        return
    for group in groups.values():
        yield np.stack(group)


def _encodes(text: str) -> bool:
    try:  # halves of surrogate pairs, which JSON can hold, name no file
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
