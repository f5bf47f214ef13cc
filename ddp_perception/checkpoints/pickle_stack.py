"""The stack and the memo of a pickle machine, with sizes in place of objects.

Of every item they know how deep it nests and for how many values it stands;
what grows beyond every honest pickle, or changes after it was used, is refused.
"""
from __future__ import annotations

from array import array
from typing import Any, NoReturn

from ddp_perception.checkpoints.refusals import RefusedObject

DEEPEST = 100
"""Levels of containers in containers; configurations in checkpoints have 20."""
_DEEPEST_KEY = 4
_MOST_HOLES = 256
_LEAST_MEMORY = 1 << 30
_MEMORY_PER_BYTE = 24
SET_BYTES = 240
_CONTAINER_BYTES = 80

# An item is one integer, so that sum() and max() work on whole containers:
# its depth above, below it the number of values that it stands for.
_SHIFT = 48
_VALUES = (1 << _SHIFT) - 1
_LEVEL = 1 << _SHIFT
LEAF = 1
UNPLAIN = 0
"""In the memo: the table beside it has the object."""

_FILLS = {'list': 'e', 'dict': 's', 'set': 'a'}


class _Name(int):
    """A leaf that stands for a name; the letters say what it may do."""

    letters: str
    text: str

    def __new__(cls, letters: str, text: str) -> _Name:
        self = super().__new__(cls, LEAF)
        self.letters, self.text = letters, text
        return self


class _Filling:
    """An object on the stack that may still be filled."""

    __slots__ = ('position', 'letters', 'slot', 'fetched', 'text')

    def __init__(self, position: int, letters: str, text: str) -> None:
        self.position, self.letters, self.text = position, letters, text
        self.slot, self.fetched = -1, False


class SizeStack:
    """A stack of items, marks in it, and a memo that gives them away again.

    Args:
        size: of the pickle, bytes; bounds what it may build.
    """

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo = array('q')
        self.unplain: dict[int, Any] = {}
        self.filling: list[_Filling] = []
        self.holes = False
        self.memory = max(_LEAST_MEMORY, _MEMORY_PER_BYTE * size)
        self.most_values = 2_000_000 + 4 * size

    def top(self, count: int) -> list:
        """Take items from the stack, though none from below a mark."""
        first = len(self.stack) - count
        if first < (self.marks[-1] if self.marks else 0):
            raise ValueError('the pickle is damaged: it takes more values than '
                             'there are')
        return self.take(first)

    def since_mark(self) -> list:
        """Take the items above the last mark, and the mark."""
        if not self.marks:
            raise ValueError('the pickle is damaged: a mark is missing')
        return self.take(self.marks.pop())

    def take(self, first: int) -> list:
        """Take the items from a place on; nothing may fill them any more."""
        items = self.stack[first:]
        filling = self.filling
        while filling and filling[-1].position >= first:
            done = filling.pop()
            if done.slot >= 0:
                self.memo[done.slot] = self.stack[done.position]
                self.unplain.pop(done.slot, None)
        del self.stack[first:]
        return items

    def make_table(self, rows: int, size: int) -> None:
        """Push a list of numbers, or of rows of numbers, and keep all of them.

        Its size is known from above, by its bytes: no more values than those.

        Args:
            rows: 0 for a list of numbers.
            size: bytes of its instructions.
        """
        item = (2 if rows else 1) << _SHIFT | size
        self.charge(_CONTAINER_BYTES * rows)
        self.make('list', item)
        self.keep_filling()
        if rows:
            self.memo.extend([item] * rows)

    def keep_filling(self) -> None:
        """Let the next memo slot follow what was made last."""
        filling = self.filling[-1]
        filling.slot = len(self.memo)
        self.unplain[filling.slot] = filling
        self.memo.append(UNPLAIN)

    def too_deep(self) -> NoReturn:
        """Refuse the pickle for its depth."""
        raise RefusedObject(f'containers nested more than {DEEPEST} levels deep')

    def make(self, kind: str, item: int = _LEVEL | 1,
             letters: str | None = None) -> None:
        """Push a new object that may be filled, as its kind or the letters say."""
        self.charge(SET_BYTES if kind == 'set' else _CONTAINER_BYTES)
        self.filling.append(_Filling(
            len(self.stack), _FILLS[kind] if letters is None else letters, kind))
        self.stack.append(item)

    def charge(self, size: int) -> None:
        """Count bytes of memory, and refuse more than there may be."""
        self.memory -= size
        if self.memory < 0:
            raise RefusedObject('far more containers than its size allows')

    def joined(self, items: list[int], onto: int = 1) -> int:
        """Return a container of items, or what it is after more of them."""
        if not items:
            return max(onto, _LEVEL | 1)
        depth = max(onto >> _SHIFT, (max(items) >> _SHIFT) + 1)
        values = (onto & _VALUES) + (sum(items) & _VALUES)
        if depth > DEEPEST:
            self.too_deep()
        if values > self.most_values:
            raise RefusedObject('one object that stands for more than '
                                f'{self.most_values} values by repetition')
        return depth << _SHIFT | values

    def join(self, items: list[int], size: int = _CONTAINER_BYTES) -> None:
        """Push a container of items that nothing may fill."""
        self.charge(size if items else 0)
        self.stack.append(self.joined(items))

    def fill(self, letter: str, items: list[int]) -> None:
        """Put items into the object on top, which was made just before."""
        place = len(self.stack) - 1
        filling = self.filling[-1] if self.filling else None
        if (filling is None or filling.position != place or filling.fetched
                or place < (self.marks[-1] if self.marks else 0)):
            raise RefusedObject('an object that is changed after it was used, '
                                'or that holds itself')
        if letter not in filling.letters:
            raise RefusedObject(f'{filling.text} that is filled in another way')
        self.stack[place] = self.joined(items, self.stack[place])
        if letter == 'b':
            filling.letters = filling.letters.replace('b', '')

    def require_shallow(self, keys: list[int]) -> None:
        """Refuse keys whose hash would take long, or all of the C stack."""
        if keys and (max(keys) >> _SHIFT > _DEEPEST_KEY
                     or max(keys) & _VALUES > 1000):
            raise RefusedObject('a key that is nested in itself many times')

    def call(self, letter: str) -> None:
        """Call the name below the top with the arguments on top."""
        # The name is at the bottom, so it is one only if it still is a _Name.
        name, arguments = self.top(2)
        if type(name) is not _Name or letter not in name.letters:
            what = name.text if type(name) is _Name else 'an object'
            raise RefusedObject(f'a call of {what}')
        self.make(name.text, self.joined([arguments]), name.letters)

    def mention(self, letters: str, text: str) -> None:
        """Push a name with the letters of its rule."""
        self.stack.append(_Name(letters, text))

    def refer(self) -> None:
        """Replace the reference on top with an object outside the pickle."""
        self.stack.append(self.joined(self.top(1)))

    def put(self, slot: int, text: int) -> None:
        """Keep the item on top in a memo slot.

        Args:
            slot: its number.
            text: where its characters lie in the pickle; 0 if it is no text.
        """
        memo, place = self.memo, len(self.stack) - 1
        taken = slot < len(memo) and (memo[slot] or slot in self.unplain)
        if taken or slot > len(memo) + _MOST_HOLES:
            raise RefusedObject(f'memo slot {slot} as number {len(memo)}')
        if place < (self.marks[-1] if self.marks else 0):
            raise ValueError('the pickle is damaged: it keeps nothing')
        self.holes = self.holes or slot > len(memo)
        memo.extend([UNPLAIN] * (slot + 1 - len(memo)))
        filling = self.filling[-1] if self.filling else None
        item = self.stack[place]
        if text:
            memo[slot] = -text
        elif filling is not None and filling.position == place:
            if filling.slot >= 0:
                raise RefusedObject('one object in two memo slots')
            filling.slot = slot
            self.unplain[slot] = filling
        elif type(item) is _Name:
            self.unplain[slot] = item
        else:
            memo[slot] = item

    def get(self, slot: int) -> int:
        """Return the item of a memo slot."""
        item = self.memo[slot] if slot < len(self.memo) else UNPLAIN
        if item < 0:
            return LEAF
        if item:
            return item
        found = self.unplain.get(slot)
        if found is None:
            raise ValueError(f'the pickle is damaged: memo slot {slot} is empty')
        if isinstance(found, _Filling):
            found.fetched = True
            return self.stack[found.position]
        return found
