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
from typing import Any

from ddp_perception.checkpoints.pickle_instructions import (
    CONSTANTS,
    EMPTY,
    FLOATS,
    LINES,
    LONGEST_LINE,
    ROW,
    SIZED,
    TABLE,
    TEXTS,
    TUPLES,
    line_at,
    name_at,
)
from ddp_perception.checkpoints.pickle_names import Names
from ddp_perception.checkpoints.pickle_stack import (
    DEEPEST,
    LEAF,
    SET_BYTES,
    UNPLAIN,
    SizeStack,
)
from ddp_perception.checkpoints.refusals import RefusedObject

_LARGEST_INTEGER = 9
"""Bytes: 64 bits and a sign. Longer ones can be made to share one hash."""
_LONGEST_DIGITS = 21
_LARGEST_STACK = 1_000_000
_WINDOW = 1 << 14


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
    try:
        return _follow(data, names, start)
    except IndexError:
        raise ValueError('the pickle is truncated') from None


def _follow(data: Any, names: Names, at: int) -> int:
    # One loop: a call for every instruction would be slow.
    size = len(data)
    items = SizeStack(size - at)
    stack, memo, push = items.stack, items.memo, items.stack.append
    constants, sized, texts = CONSTANTS, SIZED, TEXTS
    # Where the counts of the last two texts lie, for these may be a name's.
    last = before = checked = 0
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
            push(LEAF)
            memoized_text = True
            continue
        if op == 0x94 or op == 0x71:  # MEMOIZE, BINPUT
            slot = len(memo)
            if op == 0x71:
                slot = data[at]
                at += 1
            elif items.holes:  # Python numbers by count, not by the last
                raise ValueError('the pickle is damaged: memo slots are missing')
            if memoized_text and slot == len(memo):
                memo.append(-last)
            else:
                items.put(slot, memoized_text and last)
            memoized_text = False
            continue
        if op == 0x68 or op == 0x6a:  # BINGET, LONG_BINGET
            length = 1 if op == 0x68 else 4
            slot = int.from_bytes(data[at:at + length], 'little')
            at += length
            item = memo[slot] if slot < len(memo) else UNPLAIN
            if item > 0:
                push(item)
            elif item < 0:
                before, last = last, -item
                push(LEAF)
            else:
                push(items.get(slot))
            memoized_text = False
            continue
        memoized_text = False
        if op == 0x47:  # BINFLOAT, mostly many of them
            floats = FLOATS.match(data, at - 1, at + 9 * 1024)
            end = min(floats.end() if floats is not None and at + 8 <= size
                      else size + 1, size + 1)
            stack.extend([LEAF] * ((end - at + 1) // 9))
            at = end
        elif op in constants:
            push(LEAF)
            at += constants[op]
        elif op == 0x28:  # MARK
            items.marks.append(len(stack))
            if len(items.marks) > 2 * DEEPEST:
                items.too_deep()
        elif op in EMPTY:
            table = op == 0x5d and TABLE.match(data, at - 1, at + _WINDOW)
            if table and not items.holes:
                # After the list's own three instructions its first row begins.
                rows = (len(ROW.findall(data, at - 1, table.end()))
                        if data[at + 2] == 0x5d else 0)
                items.make_table(rows, table.end() - (at - 1))
                at = table.end()
                continue
            items.make(EMPTY[op])
            if data[at] == 0x94 and not items.holes:
                at += 1
                items.keep_filling()
        elif op == 0x65 or op == 0x61:  # APPENDS, APPEND
            items.fill('e', items.since_mark() if op == 0x65 else items.top(1))
        elif op == 0x75 or op == 0x73:  # SETITEMS, SETITEM
            taken = items.since_mark() if op == 0x75 else items.top(2)
            items.require_shallow(taken[0::2])
            items.fill('s', taken)
        elif op == 0x90:  # ADDITEMS
            taken = items.since_mark()
            items.require_shallow(taken)
            items.fill('a', taken)
        elif op in TUPLES:
            items.join(items.top(TUPLES[op]))
        elif op == 0x74:  # TUPLE
            items.join(items.since_mark())
        elif op == 0x91:  # FROZENSET
            taken = items.since_mark()
            items.require_shallow(taken)
            items.join(taken, SET_BYTES)
        elif op == 0x6c or op == 0x64:  # LIST, DICT, of protocol 0
            taken = items.since_mark()
            if op == 0x64:
                items.require_shallow(taken[0::2])
            items.make('list' if op == 0x6c else 'dict', items.joined(taken))
        elif op in sized:
            length = sized[op]
            if op in texts:
                before, last, memoized_text = last, at, True
            at += length + int.from_bytes(data[at:at + length], 'little')
            push(LEAF)
        elif op == 0x72:  # LONG_BINPUT
            items.put(int.from_bytes(data[at:at + 4], 'little'), 0)
            at += 4
        elif op == 0x52 or op == 0x81:  # REDUCE, NEWOBJ
            items.call('r' if op == 0x52 else 'n')
        elif op == 0x62:  # BUILD
            items.fill('b', items.top(1))
        elif op == 0x63:  # GLOBAL
            module, at = line_at(data, at)
            name, at = line_at(data, at)
            items.mention(names.rule(module, name), f'{module}.{name}')
        elif op == 0x93:  # STACK_GLOBAL
            if items.top(2) != [LEAF, LEAF] or not before:
                raise ValueError('the pickle names something that is no text')
            module, name = name_at(data, before), name_at(data, last)
            items.mention(names.rule(module, name), f'{module}.{name}')
        elif op == 0x51 and names.storages:  # BINPERSID
            items.refer()
        elif op == 0x8a or op == 0x8b:  # LONG1, LONG4
            length = 1 if op == 0x8a else 4
            digits = int.from_bytes(data[at:at + length], 'little')
            if digits > _LARGEST_INTEGER:
                raise RefusedObject(f'an integer of {digits} bytes')
            at += length + digits
            push(LEAF)
        elif op == 0x80:  # PROTO
            if data[at] > 5:
                raise ValueError(f'the pickle has protocol {data[at]}')
            at += 1
        elif op == 0x95:  # FRAME
            at += 8
        elif op in LINES:
            text, at = line_at(data, at, len(data) if op in b'SV' else LONGEST_LINE)
            if op in b'IL' and len(text) > _LONGEST_DIGITS:
                raise RefusedObject(f'an integer of {len(text)} digits')
            before = last = 0  # a text, perhaps, whose place is not kept
            push(LEAF)
        elif op == 0x70 or op == 0x67:  # PUT, GET
            text, at = line_at(data, at)
            if not text.isdecimal():
                raise ValueError(f'the pickle has the memo slot {text!r}')
            if op == 0x70:
                items.put(int(text), 0)
            else:
                before = last = 0
                push(items.get(int(text)))
        elif op == 0x2e:  # STOP
            if len(stack) != 1 or items.marks or at > size:
                raise ValueError('the pickle is damaged: values are left over')
            return at
        else:
            raise ValueError(
                f'the pickle is damaged or unusual: instruction {op:#04x} at '
                f'byte {at - 1}')
