"""Run many cases and count how they end, by reader."""
import contextlib
import gc
import importlib
import math
import os
import random
import re
import time
from collections import Counter
from typing import NamedTuple

from tests.fuzz.children import Child, run_all
from tests.fuzz.readers import READERS, make_case, must_be_refused, sound_case

GOOD = ('ok', 'refused')
KINDS = (*GOOD, 'unnamed', 'silent', 'traceback', 'timeout', 'crash', 'memory')
"""How a case ends. 'unnamed': the message does not name the input; 'silent': what
is no number was taken for one."""


class Outcome(NamedTuple):
    """One case and how it ended.

    Attributes:
        reader (str): Its name.
        index (int): Of the case in its campaign.
        change (Change): What was odd.
        kind (str): One of `KINDS`.
        text (str): What the command wrote as an error.
        seconds (float): Of processor time.
        peak (int): Bytes of memory at most.
        key_named (bool | None): Whether a refusal names a key that leads to
            what was changed; None where there is no such key.
    """

    reader: str
    index: int
    change: object
    kind: str
    text: str
    seconds: float
    peak: int
    key_named: bool | None


def preload(readers, materials):
    """Import what the sound cases import, and check that they are read.

    Raises:
        AssertionError: a sound input is not read.
    """
    for reader in readers:
        end = Child(sound_case(reader, materials).run, tell_modules=True).end()
        assert end.kind == 'ok', f'{reader.name}, sound: {end.kind}\n{end.text}'
        for name in end.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else every child's collector copies the memory that they share


def run_campaign(inputs, seed, materials, jobs=None, only=None, report=None,
                 minutes=None, first=0):
    """Run cases of all readers in turn.

    Args:
        inputs (int): How many cases.
        seed (int): With the index, decides each case.
        materials (Path): See `write_materials`.
        jobs (int, optional): Processes at a time, by default one a core.
        only (str, optional): Readers whose name has this text.
        report (Callable, optional): Called with every `Outcome`.
        minutes (float, optional): No case begins later than this.
        first (int): Index of the first case.

    Returns:
        list[Outcome]: In the order of the cases.
    """
    readers = [reader for reader in READERS if not only or only in reader.name]
    preload(readers, materials)

    def draw(index):
        reader = readers[index % len(readers)]
        return reader, make_case(random.Random(f'{seed}.{reader.name}.{index}'),
                                 reader, materials)

    outcomes = {}
    cases = {}
    end = time.monotonic() + 60 * (math.inf if minutes is None else minutes)

    def functions():
        for index in range(first, first + inputs):
            if time.monotonic() > end:
                return
            cases[index] = draw(index)
            yield cases[index][1].run

    for number, ended in run_all(functions(), jobs or os.cpu_count()):
        index = first + number
        reader, case = cases.pop(index)
        outcomes[index] = _judge(reader, index, case, ended)
        if report:
            report(outcomes[index])
    return [outcomes[index] for index in sorted(outcomes)]


def _judge(reader, index, case, end):
    kind, key_named = end.kind, None
    if kind == 'refused':
        if not any(name in end.text for name in case.names):
            kind = 'unnamed'
        if case.change.keys:
            key_named = any(str(key) in end.text for key in case.change.keys
                            if not isinstance(key, int))
    elif kind == 'ok' and must_be_refused(case.change):
        kind = 'silent'
    return Outcome(reader.name, index, case.change, kind, end.text, end.seconds,
                   end.peak, key_named)


def table(outcomes):
    """Return counts by reader as text."""
    rows = [('reader', 'inputs', *KINDS, 'key named', 'slowest', 'memory, most')]
    names = list(dict.fromkeys(outcome.reader for outcome in outcomes))
    for name in [*names, 'all']:
        mine = [one for one in outcomes if name in ('all', one.reader)]
        counts = Counter(one.kind for one in mine)
        named = [one.key_named for one in mine if one.key_named is not None]
        rows.append((name, str(len(mine)), *(str(counts[kind]) for kind in KINDS),
                     f'{sum(named)}/{len(named)}',
                     f'{max(one.seconds for one in mine):.1f} s',
                     f'{max(one.peak for one in mine) >> 20} MiB'))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join('  '.join(
        cell.ljust(width) if not number else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows)


def described(outcome):
    """Return an outcome as a line."""
    return (f'{outcome.reader} #{outcome.index} [{outcome.change}] {outcome.kind}: '
            f'{_last_line(outcome.text)}  {_place(outcome.text)}')


def _place(text):
    """Return the innermost place of a traceback."""
    found = re.findall(r'File "[^"]*?([^/"]+/[^/"]+)", line (\d+)', text)
    return ':'.join(found[-1]) if found else ''


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ''
