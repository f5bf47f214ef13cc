"""Write files whole or not at all."""
from __future__ import annotations

import os
from pathlib import Path


def write_file(path: str | Path, content: bytes) -> Path:
    """Write bytes; the file is replaced when complete, its folder made.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part{os.getpid()}')
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path
