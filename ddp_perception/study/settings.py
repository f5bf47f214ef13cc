"""Settings that belong to a file, and whether others are the same."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ddp_perception.wording import few

_BLOCK = 1 << 20


class OtherSettings(ValueError):
    """A file was made with other settings than those of now."""


class DamagedFile(ValueError):
    """A file of a study holds something else than it should."""


def plain(value: Any) -> Any:
    """Return settings as JSON would give them back."""
    return json.loads(json.dumps(value, default=str))


def differing(stored: Any, present: Any) -> str | None:
    """Say where two settings differ, or return None.

    Args:
        stored: of the file.
        present: those of now.
    """
    return few((f'{place} was {one!r:.80}, is {other!r:.80}'
                for place, one, other in _differences(plain(stored), plain(present))),
               2, '; ') or None


def _differences(one: Any, other: Any, place: str = ''
                 ) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            yield from _differences(one.get(key), other.get(key),
                                    f'{place}.{key}' if place else str(key))
    elif one != other:
        yield place, one, other


def fingerprint(settings: Any) -> str:
    """Return a number that changes with any setting, in hexadecimal digits."""
    text = json.dumps(plain(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_of_files(*roots: str | Path) -> str:
    """Return a number that changes with any file below some folders.

    Args:
        roots: folders, or files.

    Returns:
        Hexadecimal digits, of names below the root and contents.
    """
    digest = hashlib.sha256()
    for root in map(Path, roots):
        files = sorted(path for path in root.rglob('*') if path.is_file()) \
            if root.is_dir() else [root]
        for path in files:
            digest.update(str(path.relative_to(root)).encode() + b'\0')
            with path.open('rb') as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()[:16]
