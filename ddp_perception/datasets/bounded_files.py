"""Refuse files that would hang a run or fill the memory, before reading them.

A file's size, and the size that an image claims in its header, cost nothing to
look at; a device or a pipe never ends, and a few bytes of PNG can claim
gigabytes of pixels.
"""
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, get, register_backend
from mmengine.fileio import io as mmengine_io
from PIL import Image

from ddp_perception.checkpoints.file_sizes import (
    MOST_MEGABYTES,
    limit_of,
    require_bounded_file,
)

MOST_MEGAPIXELS = 100
_DECODED = ('PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'GIF', 'PPM', 'JPEG2000', 'SUN')
_PROGRAMS = (b'%!PS', b'\xc5\xd0\xd3\xc6')
"""How PostScript begins, which Pillow has Ghostscript run, whatever a file's name."""


def require_bounded_image(content: bytes, path: str | Path) -> None:
    """Raise where an image claims more pixels than are decoded, or is a program.

    The first is `MOST_MEGAPIXELS`, or DDP_MAX_MEGAPIXELS of the environment; the
    second PostScript. Only the header is read. What is no image passes.

    Args:
        content: Bytes of the file.
        path: File name for the message.

    Raises:
        ValueError: names the file and its size in pixels, or what it is.
    """
    if content.startswith(_PROGRAMS):
        raise ValueError(f'image {path} is PostScript, a program, expected one of '
                         f'{", ".join(_DECODED)}')
    most = limit_of('DDP_MAX_MEGAPIXELS', MOST_MEGAPIXELS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with open_image(io.BytesIO(content)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:  # Pillow's own, higher bound
        claim = str(error)
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError,
            TypeError, IndexError, KeyError, ArithmeticError, MemoryError):
        return  # a damaged header; the decoder says so
    else:
        if width * height <= most * 1e6:
            return
        claim = f'it has {height} x {width} pixels'
    raise ValueError(
        f'image {path} is too large: {claim}, more than the {most:g} million '
        'that are decoded; DDP_MAX_MEGAPIXELS in the environment raises this')


def open_image(file: str | Path | BinaryIO) -> Image.Image:
    """Return an image of Pillow, whose header alone is read.

    Args:
        file: Path or open file.

    Raises:
        OSError: it is of no format that we decode; Pillow has others, for some of
            which it starts programs.
    """
    return Image.open(file, formats=_DECODED)


def require_bounded_archive(path: str | Path) -> None:
    """Raise where a zip archive is too large, unpacked or as it is.

    Bounded as a single file is, see `require_bounded_file`. Only the directory
    of the archive is read. What is no archive passes.

    Args:
        path: Archive, such as those of NumPy.

    Raises:
        ValueError: names the file and how much it claims to hold.
    """
    require_bounded_file(path)
    most = limit_of('DDP_MAX_MEGABYTES', MOST_MEGABYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(member.file_size for member in archive.infolist())
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile,
            struct.error):
        return  # damaged; whoever reads it says so
    if claimed > most * 1e6:
        raise ValueError(
            f'{path} unpacks to {claimed / 1e6:,.0f} MB, more than the {most:g} MB '
            'that are read; DDP_MAX_MEGABYTES in the environment raises this')


def read_file(path: str | Path, backend_args: dict | None = None) -> bytes:
    """Read a file of a data set.

    Args:
        path: The file.
        backend_args: Options of mmengine's file backend; what lies behind one
            is not looked at beforehand.

    Raises:
        ValueError: see `require_bounded_file` and `require_bounded_image`.
        FileNotFoundError: there is no such file.
    """
    if not backend_args and '://' not in str(path):
        require_bounded_file(path)
    content = get(path, backend_args=backend_args)
    require_bounded_image(content, path)
    return content


class BoundedLocalBackend(LocalBackend):
    """mmengine's local files, for the loaders of mmcv, mmdet3d and mmseg."""

    def get(self, filepath: str | Path) -> bytes:
        """Return the bytes of a file; see `read_file`."""
        require_bounded_file(filepath)
        content = super().get(filepath)
        require_bounded_image(content, filepath)
        return content

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """Return the text of a file; see `require_bounded_file`."""
        require_bounded_file(filepath)
        return super().get_text(filepath, encoding)


def bound_local_files() -> None:
    """Let mmengine look at a local file before it reads it.

    The loaders of mmcv, mmdet3d and mmseg read whatever a path names, and
    decode whatever size an image claims; all of them read through mmengine's
    local file backend. May be called again at no cost.
    """
    register_backend('local', BoundedLocalBackend, force=True, prefixes='')
    # mmengine keeps what it made for an earlier read.
    mmengine_io.backend_instances.clear()
