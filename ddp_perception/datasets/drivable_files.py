"""Files of drivable area beside a sketch of roads, one NumPy archive per city."""
from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddp_perception.datasets.bounded_files import require_bounded_archive
from ddp_perception.files import write_file

CELLS = 200
"""Of a map along x and along y: +-50 m at 0.5 m."""

KEYS = ('drivable', 'roads', 'scene', 'token')
"""Of a file; further ones are left alone."""

_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError,
            TypeError, MemoryError, NotImplementedError, RuntimeError, zlib.error,
            zipfile.BadZipFile)
"""What zipfile and NumPy raise on damaged bytes."""


class City(NamedTuple):
    """Frames of one file; maps stay packed, eight cells to a byte.

    Attributes:
        path: the file.
        drivable: (n, 5000) uint8, packed bits of (200, 200).
        roads: (n, channels x 5000) uint8, packed bits of (channels, 200, 200).
        scene: (n,) names.
        token: (n,) names, all different.
    """

    path: Path
    drivable: np.ndarray
    roads: np.ndarray
    scene: np.ndarray
    token: np.ndarray

    def maps(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a frame's sketch (channels, 200, 200) and truth (1, 200, 200).

        Both are uint8, 0 or 1; axis 1 grows with x to the right, axis 2 with y
        forward.
        """
        sketch, truth = (np.unpackbits(bits[row]).reshape(-1, CELLS, CELLS)
                         for bits in (self.roads, self.drivable))
        return sketch, truth


def read_city(path: str | Path, channels: int = 3) -> City:
    """Read a file that `write_city` wrote, or one of the same content.

    Args:
        path: NumPy archive (.npz). Nothing in it is unpickled.
        channels: of the sketch.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, is too large, lacks a key, or a key has
            another dtype or shape than expected; names file, key and both.
    """
    path = Path(path)
    if not os.path.isfile(path):  # not pathlib's, which raises at odd names
        raise FileNotFoundError(f'map file {path} is missing')
    require_bounded_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            content = {
                name.removesuffix('.npy'): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name.removesuffix('.npy') in KEYS}
    except _DAMAGED as error:
        text = ' '.join(str(error).split()) or type(error).__name__
        raise ValueError(f'map file {path} cannot be read as a NumPy archive '
                         f'without pickles: {text}') from error
    check_city(content, str(path), channels)
    return City(path, **content)


def write_city(path: str | Path, drivable: np.ndarray, roads: np.ndarray,
               scene: Sequence[str], token: Sequence[str]) -> Path:
    """Write the frames of a city.

    Args:
        path: NumPy archive (.npz), replaced as a whole.
        drivable: (n, 200, 200), true where a vehicle may drive. Axis 1 grows
            with x to the right, axis 2 with y forward, in the frame of the
            vehicle's LiDAR; +-50 m, cells of 0.5 m.
        roads: (n, channels, 200, 200), true where the prior map has a road.
        scene: n names of the drives that the frames come from.
        token: n names, all different.

    Returns:
        The file.

    Raises:
        ValueError: shapes do not fit each other; nothing is written.
    """
    drivable, roads = np.asarray(drivable), np.asarray(roads)
    for name, maps, expected in (('drivable', drivable, '(n, 200, 200)'),
                                 ('roads', roads, '(n, channels, 200, 200)')):
        if (maps.ndim != expected.count(',') + 1 or maps.shape[-2:] != (CELLS, CELLS)
                or not maps.shape[1]):
            raise ValueError(f'{name} must be {expected}, got {maps.shape}')
    content = dict(
        drivable=np.packbits(drivable.reshape(len(drivable), -1) != 0, axis=1),
        roads=np.packbits(roads.reshape(len(roads), -1) != 0, axis=1),
        scene=np.array(scene, str), token=np.array(token, str))
    check_city(content, str(path), roads.shape[1])
    stream = io.BytesIO()
    np.savez_compressed(stream, **content)
    return write_file(Path(path), stream.getvalue())


def check_city(content: Mapping[str, np.ndarray], where: str,
               channels: int = 3) -> None:
    """Check what a file of a city holds.

    Args:
        content: array by key.
        where: the file, for messages.
        channels: of the sketch.

    Raises:
        ValueError: names file and key, what was expected and what is there.
    """
    row = CELLS * CELLS // 8
    known = 'token' in content and content['token'].ndim > 0
    frames: int | str = len(content['token']) if known else 'n'
    expected: dict[str, tuple[str, tuple]] = {
        'token': ('U', (frames,)), 'scene': ('U', (frames,)),
        'drivable': ('uint8', (frames, row)),
        'roads': ('uint8', (frames, channels * row))}
    for key, (kind, shape) in expected.items():
        wanted = (f"{'text' if kind == 'U' else kind} of shape ("
                  f"{', '.join(map(str, shape))}{',' * (len(shape) == 1)})")
        if key not in content:
            raise ValueError(f'{where} has no {key}, expected {wanted}; it has '
                             f'{", ".join(content) or "no key that is known"}')
        array = content[key]
        if kind not in (array.dtype.name, array.dtype.kind) or array.shape != shape:
            raise ValueError(f'{where}: {key} must be {wanted}, got '
                             f'{array.dtype.name} of shape {array.shape}')
    if not frames:
        raise ValueError(f'{where} has no frame, expected at least one')
    names, counts = np.unique(content['token'], return_counts=True)
    if len(names) < len(content['token']):
        raise ValueError(f'{where}: token must be different for every frame, got '
                         f'{str(names[counts.argmax()])!r} {counts.max()} times')
