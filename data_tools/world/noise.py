"""Repeatable hash noise for numba kernels (no state, no arrays)."""

import math

import numba
import numpy as np

_OPTIONS = dict(cache=True, nogil=True, inline='never')


@numba.njit(**_OPTIONS)
def hash01(i: int, j: int, seed: int) -> float:
    """Pseudo-random number in [0, 1) from two integers and a seed."""
    h = np.uint32(i) * np.uint32(374761393)
    h ^= np.uint32(j) * np.uint32(668265263)
    h ^= np.uint32(seed) * np.uint32(2246822519)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(2654435761)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(3266489917)
    h ^= h >> np.uint32(16)
    return (np.uint32(h) & np.uint32(0xFFFFFF)) / 16777216.0  # type: ignore[return-value]


@numba.njit(**_OPTIONS)
def value_noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [0, 1) with features about one unit wide."""
    i, j = math.floor(x), math.floor(y)
    fx, fy = x - i, y - j
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    a, b = hash01(i, j, seed), hash01(i + 1, j, seed)
    c, d = hash01(i, j + 1, seed), hash01(i + 1, j + 1, seed)
    return (a + (b - a) * fx) * (1 - fy) + (c + (d - c) * fx) * fy
