"""Kinds of values: texts, numbers and arrays, each told right or wrong in bulk.

A kind says whether a whole list of values is right, in one pass of NumPy, so
that checking a million records takes about as long as reading them.
"""
from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

FARTHEST = 1e8
"""Metres. Global coordinates beyond it are absurd: the Earth's projected
coordinates end at 2e7."""

LATEST = 4_102_444_800
"""Seconds since 1970: the year 2100. A time in microseconds is beyond it."""


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
