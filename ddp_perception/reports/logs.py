"""What mmengine's log of a run says: when, where, and its printed tables."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ddp_perception.reports.tables import Table

_LINE = re.compile(r'(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - \S+ - [A-Z]+ - (.*)')
_ITEM = re.compile(r' {4}(\S[^:]*): (.*)')
_ENVIRONMENT = ('System environment:', 'Runtime environment:')
_PASSES = 'decoder passes of '
_PROGRESS = re.compile(r'(?:Epoch|Iter)\((train|val|test)\) ')
_LONG = 'PyTorch compiling details'


@dataclass
class Log:
    """A log.

    Args:
        begun, ended: times of the first and last line, None without lines.
        environment: system and versions, as mmengine found them.
        tables: printed ones: of each test, and of validations the last with its
            title, columns and passes.
        tests: how many tests it tells of.
        passes: decoder passes of the last evaluation, in words; '' if not said.
    """

    begun: datetime | None = None
    ended: datetime | None = None
    environment: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    tests: int = 0
    passes: str = ''


def read_log(path: Path) -> Log:
    """Read a log; what does not look like one of mmengine's leaves it empty."""
    log = Log()
    message = ''
    block: list[str] = []
    in_environment = False
    printed = _Printed()
    with path.open(encoding='utf-8', errors='replace') as file:
        for text in file:
            text = text.rstrip('\n')
            if text[:1] in ('+', '|'):
                block.append(text)
                continue
            if block:
                printed.add(message, block)
                block = []
            match = _LINE.match(text)
            if match:
                in_environment = False
                moment = _moment(match[1])
                log.begun = log.begun or moment
                log.ended = moment or log.ended
                message = match[2] or message  # mmseg starts tables on a new line
                printed.follow(match[2])
            elif text in _ENVIRONMENT:
                in_environment = True
            elif in_environment and (item := _ITEM.match(text)):
                if item[1] != _LONG:
                    log.environment[item[1]] = item[2]
            elif text.strip():
                message = text
    if block:
        printed.add(message, block)
    log.tables = printed.tables()
    log.tests, log.passes = printed.tests, printed.passes
    return log


class _Printed:
    """Tables, and the evaluation that each belongs to.

    An evaluation prints its tables after its last line of progress, then its
    decoder passes, then a line of figures.

    Attributes:
        tests: how many have ended.
        passes: those of the last evaluation, in words.
    """

    def __init__(self) -> None:
        self.tests = 0
        self.passes = ''
        self._done: list[Table] = []
        self._open: list[Table] = []
        self._said: list[str] = []

    def add(self, title: str, lines: list[str]) -> None:
        head, *rows = [[cell.strip() for cell in line.strip('|').split('|')]
                       for line in lines if line.startswith('|')] or [[]]
        if rows and all(len(row) == len(head) for row in rows):
            self._open.append(Table(title.strip().rstrip(':'), head, [
                [None if cell == 'nan' else cell for cell in row] for row in rows]))

    def follow(self, message: str) -> None:
        progress = _PROGRESS.match(message)
        if message.startswith(_PASSES):
            self._said.append(message)
        elif progress and ' eta: ' in message:
            self._close('')
        elif progress:
            is_test = progress[1] == 'test'
            self.tests += is_test
            self.passes = '; '.join(self._said)
            self._close(f'test {self.tests}' if is_test else '')

    def tables(self) -> list[Table]:
        self._close('')
        return list({(table.title, tuple(table.head), table.note): table
                     for table in self._done}.values())

    def _close(self, evaluation: str) -> None:
        note = '; '.join(filter(None, [evaluation, *self._said]))
        for table in self._open:
            table.note = note
        self._done += self._open
        self._open, self._said = [], []


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, '%Y/%m/%d %H:%M:%S')
    except ValueError:
        return None
