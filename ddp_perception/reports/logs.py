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
_LONG = 'PyTorch compiling details'


@dataclass
class Log:
    """A log.

    Args:
        begun, ended: times of the first and last line, None without lines.
        environment: system and versions, as mmengine found them.
        tables: printed ones, each the last with its title, columns and passes.
    """

    begun: datetime | None = None
    ended: datetime | None = None
    environment: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)


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
                message = match[2]
                printed.follow(message)
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
    return log


class _Printed:
    """Tables, and the decoder passes that are logged after them."""

    def __init__(self) -> None:
        self._done: list[Table] = []
        self._open: list[Table] = []

    def add(self, title: str, lines: list[str]) -> None:
        rows = [[cell.strip() for cell in line.strip('|').split('|')]
                for line in lines if line.startswith('|')]
        if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
            return
        if any(table.note for table in self._open):  # those were another evaluation's
            self._close()
        self._open.append(Table(title.strip().rstrip(':'), rows[0], rows[1:]))

    def follow(self, message: str) -> None:
        if message.startswith(_PASSES):
            for table in self._open:
                table.note = f'{table.note}; {message}'.removeprefix('; ')
        elif re.match(r'(Epoch|Iter)\((train|val|test)\)', message):
            self._close()

    def tables(self) -> list[Table]:
        self._close()
        return list({(table.title, tuple(table.head), table.note): table
                     for table in self._done}.values())

    def _close(self) -> None:
        self._done += self._open
        self._open = []


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, '%Y/%m/%d %H:%M:%S')
    except ValueError:
        return None
