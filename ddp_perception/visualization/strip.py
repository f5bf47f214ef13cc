"""Pictures of one size one after another: a strip and an animation."""
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ddp_perception.files import write_file
from ddp_perception.visualization.panels import Panels, Swatch

COLUMNS = 5
WIDEST = 640
"""Columns of an animation, in pixels."""
LETTERS = 16
"""Height of its caption's letters, in pixels, where the caption fits."""
SMALLEST = 8


def save_strip(path: str | Path, pictures: Sequence[np.ndarray],
               captions: Sequence[str], labels: Sequence[Swatch] = ()) -> Path:
    """Draw pictures side by side, at most five in a row.

    Args:
        path: The file; its suffix decides the format.
        pictures: Each (H, W, 3) uint8, RGB.
        captions: One above each.
        labels: The legend's entries.

    Returns:
        The file.
    """
    height, width = pictures[0].shape[:2]
    columns = min(COLUMNS, len(pictures))
    if width > 1.5 * height:
        columns = min(2, columns)  # wide images stay legible
    panels = Panels(len(pictures), (height, width), columns, labels=labels)
    for index, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        panels.show(index, picture, caption)
    return panels.save(path)


def save_animation(path: str | Path, pictures: Sequence[np.ndarray],
                   captions: Sequence[str], seconds: float = 0.8) -> Path:
    """Write a GIF that shows pictures in turn, for ever.

    Args:
        path: The file.
        pictures: Each (H, W, 3) uint8, RGB; shrunk to 640 columns.
        captions: One below each.
        seconds: How long each is shown; the last one twice as long.

    Returns:
        The file.
    """
    frames = [_with_caption(picture, caption)
              for picture, caption in zip(pictures, captions, strict=True)]
    times = [round(1000 * seconds)] * (len(frames) - 1) + [round(2000 * seconds)]
    content = io.BytesIO()
    frames[0].save(content, format='GIF', save_all=True, append_images=frames[1:],
                   duration=times, loop=0, disposal=2)
    return write_file(path, content.getvalue())


def _with_caption(picture: np.ndarray, caption: str) -> Image.Image:
    image = Image.fromarray(picture)
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)))
    frame = Image.new('RGB', (image.width, image.height + 2 * LETTERS), 'white')
    frame.paste(image)
    draw = ImageDraw.Draw(frame)
    for size in range(LETTERS, SMALLEST - 1, -1):
        font = ImageFont.load_default(size)
        if draw.textlength(caption, font=font) <= frame.width - 8:
            break
    draw.text((4, image.height + LETTERS // 2), caption, fill='black', font=font)
    return frame
