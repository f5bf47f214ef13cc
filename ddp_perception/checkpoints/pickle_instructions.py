"""How the instructions of a pickle and their operands lie in its bytes."""
from __future__ import annotations

import mmap
import re

from ddp_perception.checkpoints.refusals import RefusedObject

LONGEST_LINE = 255
"""Bytes of a name or a number that is written as a line of text."""

FLOATS = re.compile(rb'(?:G.{8})+', re.DOTALL)
# A list of numbers, and a list of such lists: most of an info file. They are
# taken whole, for a step for each of their instructions would take minutes.
_NUMBERS = rb'\]\x94\((?:G.{8}|K.|M..|J.{4}|[N\x88\x89])+e'
ROW = re.compile(_NUMBERS, re.DOTALL)
TABLE = re.compile(rb'\]\x94\((?:' + _NUMBERS + rb')+e|' + _NUMBERS, re.DOTALL)

# By instruction: the bytes of its operand, or of the count of bytes that follow.
CONSTANTS = {0x4e: 0, 0x88: 0, 0x89: 0,  # NONE, NEWTRUE, NEWFALSE
             0x4b: 1, 0x4d: 2, 0x4a: 4}  # BININT1, BININT2, BININT
SIZED = {0x58: 4, 0x8d: 8, 0x54: 4, 0x55: 1,  # the texts
         0x42: 4, 0x43: 1, 0x8e: 8, 0x96: 8}  # BINBYTES and its like
TEXTS = {0x58: 4, 0x8c: 1, 0x8d: 8, 0x54: 4, 0x55: 1}
LINES = b'ILFSV'
"""Numbers and texts of protocol 0."""

# By instruction: what it makes, and of how many items.
EMPTY = {0x5d: 'list', 0x7d: 'dict', 0x8f: 'set'}
TUPLES = {0x29: 0, 0x85: 1, 0x86: 2, 0x87: 3}


def line_at(data: bytes | mmap.mmap, at: int,
            longest: int = LONGEST_LINE) -> tuple[str, int]:
    """Return a line that begins at a place, and where the next one begins.

    Raises:
        ValueError: it is longer than that, or does not end.
    """
    end = data.find(b'\n', at, at + longest)
    if end < 0:
        raise ValueError(f'the pickle has an endless line at byte {at}')
    return data[at:end].decode('utf-8', 'replace'), end + 1


def name_at(data: bytes | mmap.mmap, at: int) -> str:
    """Return the text, a name, whose instruction ends at a place.

    Raises:
        RefusedObject: it is too long for a name.
    """
    begin = at + TEXTS[data[at - 1]]
    count = int.from_bytes(data[at:begin], 'little')
    if count > LONGEST_LINE:
        raise RefusedObject(f'a name of {count} characters')
    return data[begin:begin + count].decode('utf-8', 'replace')
