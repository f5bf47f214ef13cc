"""Refuse files that would hang a run or fill the memory, before reading them.

A file's size, and the size that an image claims in its header, cost nothing to
look at; a device or a pipe never ends, and a few bytes of PNG can claim
gigabytes of pixels.
"""
import io
import os
import struct
import warnings
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, get, register_backend
from mmengine.fileio import io as mmengine_io
from PIL import Image

from ddp_perception.checkpoints.refusals import require_regular

MOST_MEGAPIXELS = 100
MOST_MEGABYTES = 512
MOST_MEGABYTES_OF_LISTS = 4096
_LISTS = ('.pkl', '.pickle', '.json')
_DECODED = ('PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'GIF', 'PPM', 'JPEG2000', 'SUN')


def require_bounded_file(path: str | Path) -> None:
    """Raise unless a local path is a regular file of a sensible size.

    A point cloud or an image may have `MOST_MEGABYTES`, a list of samples
    (.json, .pkl) `MOST_MEGABYTES_OF_LISTS`; the environment's
    DDP_MAX_MEGABYTES replaces both.

    Args:
        path: May be missing; reading it says so.

    Raises:
        ValueError: it is no regular file, or too large; names it.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # missing, or a name that no disk can hold
        return
    require_regular(state, path)
    default = (MOST_MEGABYTES_OF_LISTS if str(path).lower().endswith(_LISTS)
               else MOST_MEGABYTES)
    most = _limit('DDP_MAX_MEGABYTES', default)
    if state.st_size > most * 1e6:
        raise ValueError(
            f'{path} has {state.st_size / 1e6:,.0f} MB, more than the {most:g} MB '
            'that are read; DDP_MAX_MEGABYTES in the environment raises this')


def require_bounded_image(content: bytes, path: str | Path) -> None:
    """Raise where an image claims more pixels than are decoded.

    That is `MOST_MEGAPIXELS`, or DDP_MAX_MEGAPIXELS of the environment. Only
    the header is read. What is no image passes.

    Args:
        content: Bytes of the file.
        path: File name for the message.

    Raises:
        ValueError: names the file and its size in pixels.
    """
    most = _limit('DDP_MAX_MEGAPIXELS', MOST_MEGAPIXELS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content), formats=_DECODED) as image:
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
    most = _limit('DDP_MAX_MEGABYTES', MOST_MEGABYTES)
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


def _limit(name: str, default: float) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.
    if not value > 0:
        raise ValueError(f'{name} must be a positive number, got {text!r}')
    return value


def bound_local_files() -> None:
    """Let mmengine look at a local file before it reads it.

    The loaders of mmcv, mmdet3d and mmseg read whatever a path names, and
    decode whatever size an image claims; all of them read through mmengine's
    local file backend. May be called again at no cost.
    """
    register_backend('local', BoundedLocalBackend, force=True, prefixes='')
    # mmengine keeps what it made for an earlier read.
    mmengine_io.backend_instances.clear()
