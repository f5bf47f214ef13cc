"""Judge a pickle by its instructions before any of them is carried out.

A pickle is a program for a stack machine. Even where it may call nothing, a
few bytes of it can take all memory (a memo slot numbered four billion), hang
(a list that holds itself) or end the process (the hash of a tuple nested a
hundred thousand deep). `audit` follows the program without building anything:
it knows of every item on the stack how deep it nests and how many values it
stands for, and which names are called and what is changed.

It accepts what Python's own pickler writes, and no more. In particular an
object is filled right after it was made, never after the memo gave it away;
so there are no cycles, and depths are known exactly.
"""
from __future__ import annotations

import mmap
import re
from array import array
from collections.abc import Mapping
from typing import Any, NoReturn

from ddp_perception.checkpoints.refusals import RefusedObject

DEEPEST = 100
"""Levels of containers in containers; configurations in checkpoints have 20."""
_DEEPEST_KEY = 4
_LONGEST_LINE = 255
_LARGEST_INTEGER = 9
"""Bytes: 64 bits and a sign. Longer ones can be made to share one hash."""
_LONGEST_DIGITS = 21
_LARGEST_STACK = 1_000_000
_MOST_HOLES = 256
_LEAST_MEMORY = 1 << 30
_MEMORY_PER_BYTE = 24
_CONTAINER_BYTES, _SET_BYTES = 80, 240

# An item is one integer, so that sum() and max() work on whole containers:
# its depth above, below it the number of values that it stands for.
_SHIFT = 48
_VALUES = (1 << _SHIFT) - 1
_LEVEL = 1 << _SHIFT
_LEAF = 1
_UNPLAIN = 0
"""In the memo: the table beside it has the object."""

_FLOATS = re.compile(rb'(?:G.{8})+', re.DOTALL)
# A list of numbers, and a list of such lists: most of an info file. They are
# taken whole, for a step for each of their instructions would take minutes.
_NUMBERS = rb'\]\x94\((?:G.{8}|K.|M..|J.{4}|[N\x88\x89])+e'
_ROW = re.compile(_NUMBERS, re.DOTALL)
_TABLE = re.compile(rb'\]\x94\((?:' + _NUMBERS + rb')+e|' + _NUMBERS, re.DOTALL)
_WINDOW = 1 << 14
_CONSTANTS = {0x4e: 0, 0x88: 0, 0x89: 0,  # NONE, NEWTRUE, NEWFALSE
              0x4b: 1, 0x4d: 2, 0x4a: 4}  # BININT1, BININT2, BININT
_SIZED = {0x58: 4, 0x8d: 8, 0x54: 4, 0x55: 1,  # the texts
          0x42: 4, 0x43: 1, 0x8e: 8, 0x96: 8}  # BINBYTES and its like
_TEXTS = {0x58: 4, 0x8c: 1, 0x8d: 8, 0x54: 4, 0x55: 1}
_LINES = b'ILFSV'  # numbers and texts of protocol 0
_EMPTY = {0x5d: 'list', 0x7d: 'dict', 0x8f: 'set'}
_FILLS = {'list': 'e', 'dict': 's', 'set': 'a'}
_TUPLES = {0x29: 0, 0x85: 1, 0x86: 2, 0x87: 3}


class Names:
    """Which names a pickle may mention, and what it may do with each.

    Args:
        rules: by (module, name), letters: ``r`` it may be called, ``n`` made
            without its constructor; the result may be filled by ``e``
            (append), ``s`` (set items) and ``b`` (set its state). No letter:
            it may be mentioned alone.
        storages: whether objects outside the pickle may be referred to.
    """

    def __init__(self, rules: Mapping[tuple[str, str], str],
                 storages: bool = False) -> None:
        self.rules = dict(rules)
        self.storages = storages

    def rule(self, module: str, name: str) -> str:
        """Return the letters of a name.

        Raises:
            RefusedObject: there is no rule for it.
        """
        letters = self.rules.get((normal_module(module), name))
        if letters is None:
            raise RefusedObject(f'{module}.{name}')
        return letters


def normal_module(module: str) -> str:
    """Return today's name of a module: protocol 2 writes that of Python 2."""
    return 'builtins' if module == '__builtin__' else module


class _Name(int):
    """A leaf that stands for a name; the letters say what it may do."""

    letters: str
    text: str

    def __new__(cls, letters: str, text: str) -> _Name:
        self = super().__new__(cls, _LEAF)
        self.letters, self.text = letters, text
        return self


class _Filling:
    """An object on the stack that may still be filled."""

    __slots__ = ('position', 'letters', 'slot', 'fetched', 'text')

    def __init__(self, position: int, letters: str, text: str) -> None:
        self.position, self.letters, self.text = position, letters, text
        self.slot, self.fetched = -1, False


def audit(data: bytes | mmap.mmap, names: Names, start: int = 0) -> int:
    """Follow a pickle, and raise if it does anything but build plain objects.

    Args:
        data: Holds it.
        names: what it may mention and call.
        start: where the pickle begins in the data.

    Returns:
        Where it ends.

    Raises:
        RefusedObject: it calls, holds or takes more than is admitted.
        ValueError: it is truncated or no pickle.
    """
    machine = _Machine(data, names, start)
    try:
        return machine.follow()
    except IndexError:
        raise ValueError('the pickle is truncated') from None


class _Machine:
    """The stack machine, with sizes in place of objects."""

    def __init__(self, data: Any, names: Names, start: int) -> None:
        self.data, self.names, self.at = data, names, start
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo = array('q')
        self.unplain: dict[int, Any] = {}
        self.filling: list[_Filling] = []
        self.holes = False
        size = len(data) - start
        self.memory = max(_LEAST_MEMORY, _MEMORY_PER_BYTE * size)
        self.most_values = 2_000_000 + 4 * size

    def follow(self) -> int:  # one loop: a call for every instruction would be slow
        data, stack, memo = self.data, self.stack, self.memo
        push, size = stack.append, len(data)
        constants, sized, texts = _CONSTANTS, _SIZED, _TEXTS
        at, last, before, checked = self.at, 0, 0, 0
        memoized_text = False
        while True:
            if at - checked > 65536:
                checked = at
                if len(stack) > _LARGEST_STACK:
                    raise RefusedObject('a tower of loose values')
            op = data[at]
            at += 1
            if op == 0x8c or op == 0x58:  # SHORT_BINUNICODE, BINUNICODE
                before, last = last, at
                at += (1 + data[at] if op == 0x8c else
                       4 + int.from_bytes(data[at:at + 4], 'little'))
                push(_LEAF)
                memoized_text = True
                continue
            if op == 0x94 or op == 0x71:  # MEMOIZE, BINPUT
                slot = len(memo)
                if op == 0x71:
                    slot = data[at]
                    at += 1
                elif self.holes:  # Python numbers by count, not by the last
                    raise ValueError('the pickle is damaged: memo slots are missing')
                if memoized_text and slot == len(memo):
                    memo.append(-last)
                else:
                    self.put(slot, memoized_text and last)
                memoized_text = False
                continue
            if op == 0x68 or op == 0x6a:  # BINGET, LONG_BINGET
                length = 1 if op == 0x68 else 4
                slot = int.from_bytes(data[at:at + length], 'little')
                at += length
                item = memo[slot] if slot < len(memo) else _UNPLAIN
                if item > 0:
                    push(item)
                elif item < 0:
                    before, last = last, -item
                    push(_LEAF)
                else:
                    push(self.get(slot))
                memoized_text = False
                continue
            memoized_text = False
            if op == 0x47:  # BINFLOAT, mostly many of them
                floats = _FLOATS.match(data, at - 1, at + 9 * 1024)
                end = min(floats.end() if floats is not None and at + 8 <= size
                          else size + 1, size + 1)
                stack.extend([_LEAF] * ((end - at + 1) // 9))
                at = end
            elif op in constants:
                push(_LEAF)
                at += constants[op]
            elif op == 0x28:  # MARK
                self.marks.append(len(stack))
                if len(self.marks) > 2 * DEEPEST:
                    self.too_deep()
            elif op in _EMPTY:
                table = op == 0x5d and _TABLE.match(data, at - 1, at + _WINDOW)
                if table and not self.holes:
                    at = self.take_table(at - 1, table.end())
                    continue
                self.make(_EMPTY[op])
                if data[at] == 0x94 and not self.holes:
                    at += 1
                    self.keep_filling()
            elif op == 0x65 or op == 0x61:  # APPENDS, APPEND
                self.fill('e', self.since_mark() if op == 0x65 else self.top(1))
            elif op == 0x75 or op == 0x73:  # SETITEMS, SETITEM
                items = self.since_mark() if op == 0x75 else self.top(2)
                self.require_shallow(items[0::2])
                self.fill('s', items)
            elif op == 0x90:  # ADDITEMS
                items = self.since_mark()
                self.require_shallow(items)
                self.fill('a', items)
            elif op in _TUPLES:
                self.join(self.top(_TUPLES[op]))
            elif op == 0x74:  # TUPLE
                self.join(self.since_mark())
            elif op == 0x91:  # FROZENSET
                items = self.since_mark()
                self.require_shallow(items)
                self.join(items, _SET_BYTES)
            elif op == 0x6c or op == 0x64:  # LIST, DICT, of protocol 0
                items = self.since_mark()
                if op == 0x64:
                    self.require_shallow(items[0::2])
                self.make('list' if op == 0x6c else 'dict', self.joined(items))
            elif op in sized:
                length = sized[op]
                if op in texts:
                    before, last, memoized_text = last, at, True
                at += length + int.from_bytes(data[at:at + length], 'little')
                push(_LEAF)
            elif op == 0x72:  # LONG_BINPUT
                self.put(int.from_bytes(data[at:at + 4], 'little'), 0)
                at += 4
            elif op == 0x52 or op == 0x81:  # REDUCE, NEWOBJ
                self.call('r' if op == 0x52 else 'n')
            elif op == 0x62:  # BUILD
                self.fill('b', self.top(1))
            elif op == 0x63:  # GLOBAL
                module, at = self.line(at)
                name, at = self.line(at)
                self.mention(module, name)
            elif op == 0x93:  # STACK_GLOBAL
                if self.top(2) != [_LEAF, _LEAF] or not before:
                    raise ValueError('the pickle names something that is no text')
                self.mention(self.text(before), self.text(last))
            elif op == 0x51 and self.names.storages:  # BINPERSID
                self.refer()
            elif op == 0x8a or op == 0x8b:  # LONG1, LONG4
                length = 1 if op == 0x8a else 4
                digits = int.from_bytes(data[at:at + length], 'little')
                if digits > _LARGEST_INTEGER:
                    raise RefusedObject(f'an integer of {digits} bytes')
                at += length + digits
                push(_LEAF)
            elif op == 0x80:  # PROTO
                if data[at] > 5:
                    raise ValueError(f'the pickle has protocol {data[at]}')
                at += 1
            elif op == 0x95:  # FRAME
                at += 8
            elif op in _LINES:
                text, at = self.line(at, len(data) if op in b'SV' else _LONGEST_LINE)
                if op in b'IL' and len(text) > _LONGEST_DIGITS:
                    raise RefusedObject(f'an integer of {len(text)} digits')
                before = last = 0  # a text, perhaps, whose place is not kept
                push(_LEAF)
            elif op == 0x70 or op == 0x67:  # PUT, GET
                text, at = self.line(at)
                if not text.isdecimal():
                    raise ValueError(f'the pickle has the memo slot {text!r}')
                if op == 0x70:
                    self.put(int(text), 0)
                else:
                    before = last = 0
                    push(self.get(int(text)))
            elif op == 0x2e:  # STOP
                if len(stack) != 1 or self.marks or at > size:
                    raise ValueError('the pickle is damaged: values are left over')
                return at
            else:
                raise ValueError(
                    f'the pickle is damaged or unusual: instruction {op:#04x} at '
                    f'byte {at - 1}')

    def line(self, at: int, longest: int = _LONGEST_LINE) -> tuple[str, int]:
        end = self.data.find(b'\n', at, at + longest)
        if end < 0:
            raise ValueError(f'the pickle has an endless line at byte {at}')
        return self.data[at:end].decode('utf-8', 'replace'), end + 1

    def text(self, at: int) -> str:
        """Return the text whose instruction ends at a place."""
        begin = at + _TEXTS[self.data[at - 1]]
        count = int.from_bytes(self.data[at:begin], 'little')
        if count > _LONGEST_LINE:
            raise RefusedObject(f'a name of {count} characters')
        return self.data[begin:begin + count].decode('utf-8', 'replace')

    def top(self, count: int) -> list:
        """Take items from the stack, though none from below a mark."""
        first = len(self.stack) - count
        if first < (self.marks[-1] if self.marks else 0):
            raise ValueError('the pickle is damaged: it takes more values than '
                             'there are')
        return self.take(first)

    def since_mark(self) -> list:
        if not self.marks:
            raise ValueError('the pickle is damaged: a mark is missing')
        return self.take(self.marks.pop())

    def take(self, first: int) -> list:
        items = self.stack[first:]
        filling = self.filling
        while filling and filling[-1].position >= first:
            done = filling.pop()
            if done.slot >= 0:
                self.memo[done.slot] = self.stack[done.position]
                self.unplain.pop(done.slot, None)
        del self.stack[first:]
        return items

    def take_table(self, at: int, end: int) -> int:
        """Take a list of numbers, or of rows of numbers, in one step.

        Its size is known from above, by its bytes: no more values than those.
        """
        rows = len(_ROW.findall(self.data, at, end)) if self.data[at + 3] == 0x5d else 0
        item = (2 if rows else 1) << _SHIFT | (end - at)
        self.charge(_CONTAINER_BYTES * rows)
        self.make('list', item)
        self.keep_filling()
        if rows:
            self.memo.extend([item] * rows)
        return end

    def keep_filling(self) -> None:
        """Let the next memo slot follow what was made last."""
        filling = self.filling[-1]
        filling.slot = len(self.memo)
        self.unplain[filling.slot] = filling
        self.memo.append(_UNPLAIN)

    def too_deep(self) -> NoReturn:
        raise RefusedObject(f'containers nested more than {DEEPEST} levels deep')

    def make(self, kind: str, item: int = _LEVEL | 1,
             letters: str | None = None) -> None:
        self.charge(_SET_BYTES if kind == 'set' else _CONTAINER_BYTES)
        self.filling.append(_Filling(
            len(self.stack), _FILLS[kind] if letters is None else letters, kind))
        self.stack.append(item)

    def charge(self, size: int) -> None:
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
        self.charge(size if items else 0)
        self.stack.append(self.joined(items))

    def fill(self, letter: str, items: list[int]) -> None:
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
        if keys and (max(keys) >> _SHIFT > _DEEPEST_KEY
                     or max(keys) & _VALUES > 1000):
            raise RefusedObject('a key that is nested in itself many times')

    def call(self, letter: str) -> None:
        # The name is at the bottom, so it is one only if it still is a _Name.
        name, arguments = self.top(2)
        if type(name) is not _Name or letter not in name.letters:
            what = name.text if type(name) is _Name else 'an object'
            raise RefusedObject(f'a call of {what}')
        self.make(name.text, self.joined([arguments]), name.letters)

    def mention(self, module: str, name: str) -> None:
        self.stack.append(_Name(self.names.rule(module, name), f'{module}.{name}'))

    def refer(self) -> None:
        self.stack.append(self.joined(self.top(1)))

    def put(self, slot: int, text: int) -> None:
        memo, place = self.memo, len(self.stack) - 1
        taken = slot < len(memo) and (memo[slot] or slot in self.unplain)
        if taken or slot > len(memo) + _MOST_HOLES:
            raise RefusedObject(f'memo slot {slot} as number {len(memo)}')
        if place < (self.marks[-1] if self.marks else 0):
            raise ValueError('the pickle is damaged: it keeps nothing')
        self.holes = self.holes or slot > len(memo)
        memo.extend([_UNPLAIN] * (slot + 1 - len(memo)))
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
        item = self.memo[slot] if slot < len(self.memo) else _UNPLAIN
        if item < 0:
            return _LEAF
        if item:
            return item
        found = self.unplain.get(slot)
        if found is None:
            raise ValueError(f'the pickle is damaged: memo slot {slot} is empty')
        if isinstance(found, _Filling):
            found.fetched = True
            return self.stack[found.position]
        return found
