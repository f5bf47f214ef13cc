"""The folder of a synthetic set: what it was made from, what is done."""

import json
import shutil
from pathlib import Path

from ddp_perception.files import write_file

#: Holds the options that a set was made with, and whether it is complete.
MARKER = 'synthetic.json'
_PARTS = '.scenes'


def write_json(path: Path, value: object) -> None:
    """Write JSON so that a crash leaves the old file or the new one."""
    write_file(path, json.dumps(value, indent=0).encode())


def part_path(out: Path, name: str) -> Path:
    """Where the records of a finished drive wait for the others."""
    return out / _PARTS / f'{name}.json'


def _read_marker(out: Path) -> dict | None:
    try:
        return json.loads((out / MARKER).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def claim(out: Path, wanted: dict, overwrite: bool) -> bool:
    """Prepare the folder; whether the very set is complete there already.

    Args:
        out: Folder of the set.
        wanted: JSON-ready options of the set to write.
        overwrite: Empty it of a synthetic set with other options.

    Raises:
        FileExistsError: it holds something else.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'{out} is a file, a folder was expected')
    marker = _read_marker(out)
    if marker is None and out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f'{out} is not empty and not a synthetic set (it has no '
            f'{MARKER}); choose another folder')
    if marker is not None and marker['options'] != wanted:
        changed = sorted(k for k in {*wanted, *marker['options']}
                         if wanted.get(k) != marker['options'].get(k))
        if not overwrite:
            raise FileExistsError(
                f'{out} holds a synthetic set with other options '
                f'({", ".join(changed)}); choose another folder or overwrite '
                'it (--overwrite)')
        for entry in out.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        marker = None
    if marker is not None and marker['complete']:
        return True
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / MARKER, {'options': wanted, 'complete': False})
    return False


def complete(out: Path, options: dict) -> None:
    """Record that every file is written."""
    write_json(out / MARKER, {'options': options, 'complete': True})
    shutil.rmtree(out / _PARTS)
