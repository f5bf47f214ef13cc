"""The file of results: a line per training, so that a study can go on."""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ddp_perception.study.settings import DamagedFile, OtherSettings, differing

Line = dict[str, Any]
_KEYS = {'variant': str, 'seed': int, 'settings': dict, 'metrics': dict}


class Results:
    """Lines of JSON, each of one training: variant, seed, settings, metrics.

    Args:
        path: of the file; it is made with the first line.

    Raises:
        DamagedFile: the file has another line; names it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lines: list[Line] = []
        self._whole = 0  # bytes of the lines that are complete
        if self.path.is_file():
            content = self.path.read_bytes()
            self._whole = content.rfind(b'\n') + 1  # a killed run may leave half a line
            self.lines = [
                self._line(number, text) for number, text
                in enumerate(content[:self._whole].split(b'\n')[:-1], 1)]

    def _line(self, number: int, text: bytes) -> Line:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or any(
                not isinstance(line.get(key), kind) for key, kind in _KEYS.items()):
            raise DamagedFile(
                f'{self.path}, line {number}, is not the result of a training: '
                f'expected JSON with {", ".join(_KEYS)}. Choose another folder, or '
                'remove the line')
        return line

    def find(self, variant: str, seed: int, settings: Mapping[str, Any]) -> Line | None:
        """Return the line of a training, or None where it is still to be done.

        Raises:
            OtherSettings: there is one, of other settings; names the first.
        """
        for line in self.lines:
            if (line['variant'], line['seed']) != (variant, seed):
                continue
            place = differing(line['settings'], settings)
            if place:
                raise OtherSettings(
                    f'{self.path} has a training of {variant}, seed {seed}, with other '
                    f'settings: {place}. Choose another folder, or remove the line')
            return line
        return None

    def append(self, line: Line) -> None:
        """Add the line of a training."""
        text = json.dumps(line, allow_nan=False).encode() + b'\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and not self.path.read_bytes().endswith(b'\n'):
            os.truncate(self.path, self._whole)
        with self.path.open('ab') as file:
            file.write(text)
        self.lines.append(json.loads(text))


def by_seed(lines: Iterable[Line], variant: str, figure: str) -> dict[int, float]:
    """Return one figure of a variant, by seed; seeds without it are left out."""
    return {line['seed']: line['metrics'][figure] for line in lines
            if line['variant'] == variant and line['metrics'].get(figure) is not None}
