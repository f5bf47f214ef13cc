"""Read the size of an image without decoding it."""
from pathlib import Path

from PIL import Image

from .bounded_files import open_image


def read_image_size(path: str | Path) -> tuple[int, int]:
    """Return width and height of an image by its header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no image, or says that it is larger than Pillow admits.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} is missing')
    try:
        with open_image(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(f'{path} is not a readable image') from None
