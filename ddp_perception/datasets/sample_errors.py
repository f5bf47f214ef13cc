"""Name the file of a sample that cannot be loaded.

What decoders raise on damaged bytes rarely says which file they came from.
"""
import functools
import struct
import zlib

import cv2
from mmengine.dataset import Compose

_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError,
            AssertionError, ArithmeticError, struct.error, zlib.error, cv2.error)
_FILES = (('Annotations', 'seg_map_path'), ('Depth', 'depth_map_path'),
          ('Points', 'lidar_path'), ('Image', 'img_path'))
"""By what the name of a loading step has in it: where its file stands."""


class SampleError(ValueError):
    """A file of a sample cannot be loaded; the message names it."""


def name_damaged_files() -> None:
    """Let the loading steps of every pipeline say which file is damaged.

    Those of mmcv, mmdet3d and mmseg pass on what their decoders raise. This
    concerns steps whose names begin with ``Load``; a fault in any other keeps
    its own error. A second call changes nothing.
    """
    if Compose.__call__ is not _call:
        Compose.__call__ = _call


@functools.wraps(Compose.__call__)
def _call(self: Compose, data: dict) -> dict | None:
    for step in self.transforms:
        try:
            data = step(data)
        except _DAMAGED as error:
            name = type(step).__name__
            if not name.startswith('Load') or isinstance(error, FileNotFoundError):
                raise
            file = _file(name, data)
            text = ' '.join(str(error).split()) or type(error).__name__
            if file and file not in text:
                text = f'{file} cannot be read: {text}'
            raise SampleError(text) from error
        if data is None:
            return None
    return data


def _file(step: str, data: dict) -> str:
    """Return the path that a loading step reads, or an empty text."""
    key = next((key for part, key in _FILES if part in step), None)
    record = data.get('lidar_points') or {} if key == 'lidar_path' else data
    path = record.get(key)
    return path if isinstance(path, str) else ''
