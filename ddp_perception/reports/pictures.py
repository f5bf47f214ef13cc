"""Pictures of a run's folder, made small enough for a page."""
from __future__ import annotations

import base64
import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ENDINGS = ('.png', '.jpg', '.jpeg', '.gif', '.webp')
MOST_PICTURES = 20
MOST_BYTES = 300_000
"""Of one embedded picture, so that a page stays below some 8 MB."""

SIDES = (1600, 1200, 900, 640, 400)
"""Greatest width or height in pixels, tried in turn."""

QUALITY = 82  # of JPEG


@dataclass
class Picture:
    """A picture of the page.

    Args:
        source: file, relative to the run.
        size: width and height as embedded.
        data: address that holds the picture itself (``data:image/...``).
    """

    source: str
    size: tuple[int, int]
    data: str


@dataclass
class Pictures:
    """Pictures that are shown.

    Args:
        shown: at most `MOST_PICTURES`.
        left_out: how many more there are.
        damaged: what is wrong, by file.
    """

    shown: list[Picture]
    left_out: int
    damaged: dict[str, str]


def embed(files: Sequence[tuple[Path, str]]) -> Pictures:
    """Embed pictures, taken evenly from every folder.

    Images without colour are left out: label maps and 16-bit depth are data,
    and would be black.

    Args:
        files: each with its name on the page.
    """
    shown: list[Picture] = []
    damaged: dict[str, str] = {}
    waiting = deque(_by_turns(files))
    while waiting and len(shown) < MOST_PICTURES:
        path, source = waiting.popleft()
        try:
            picture = _embedded(path, source)
        except Exception as error:  # decoders raise anything at damaged files
            damaged[source] = f'no readable image ({error})'
            continue
        if picture:
            shown.append(picture)
    return Pictures(sorted(shown, key=lambda picture: picture.source),
                    len(waiting), damaged)


def _by_turns(files: Sequence[tuple[Path, str]]) -> list[tuple[Path, str]]:
    """Order files so that each folder gives one in turn."""
    folders: dict[Path, list[tuple[Path, str]]] = {}
    for file in sorted(files, key=lambda file: file[1]):
        folders.setdefault(file[0].parent, []).append(file)
    return [file for _, _, file in sorted(
        (turn, index, file) for index, group in enumerate(folders.values())
        for turn, file in enumerate(group))]


def _embedded(path: Path, source: str) -> Picture | None:
    from PIL import Image

    from ddp_perception.datasets.bounded_files import open_image, read_file
    content = read_file(path)
    with open_image(io.BytesIO(content)) as image:
        if image.format == 'GIF' and len(content) <= 2 * MOST_BYTES:
            return Picture(source, image.size, _address('gif', content))
        if image.mode in ('1', 'L', 'LA', 'I', 'F') or image.mode.startswith('I;'):
            return None
        image.load()
        flat = Image.new('RGB', image.size, 'white')
        solid = image.convert('RGBA')
        flat.paste(solid, mask=solid)
    for side in SIDES:
        flat.thumbnail((side, side))
        buffer = io.BytesIO()
        flat.save(buffer, 'JPEG', quality=QUALITY, optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return Picture(source, flat.size, _address('jpeg', buffer.getvalue()))


def _address(kind: str, content: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
