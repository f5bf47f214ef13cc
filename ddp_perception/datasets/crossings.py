"""At how many places an outline meets itself."""
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike

_CHUNK = 16  # segments asked about at a time: small, so that counting ends early


def count_crossings(rings: Sequence[ArrayLike], most: int) -> int:
    """Count the pairs of segments that meet and are not neighbours.

    Args:
        rings: (n, 2) points each; a ring is closed where its
            last point is its first.
        most: Stop counting beyond it. An outline of n points in random
            order has about n^2 / 6 crossings, all of which nobody needs to know.

    Returns:
        Crossings, touches and overlaps among the segments of all rings; any
        number above `most` where there are more than that.
    """
    paths = [_without_repeats(np.asarray(ring, float)) for ring in rings]
    paths = [path for path in paths if len(path) > 1]
    if not paths:
        return 0
    ends = np.concatenate([np.stack([path[:-1], path[1:]], 1) for path in paths])
    following = np.arange(1, len(ends) + 1)
    stop = 0
    for path in paths:
        start, stop = stop, stop + len(path) - 1
        closed = (path[0] == path[-1]).all()
        following[stop - 1] = start if closed else -1
    segments = shapely.linestrings(ends)
    tree = shapely.STRtree(segments)
    count = 0
    for first in range(0, len(segments), _CHUNK):
        asked, met = tree.query(segments[first:first + _CHUNK],
                                predicate='intersects')
        asked = asked + first
        pairs = (met > asked) & (following[asked] != met) & (
            following[met] != asked)
        count += np.count_nonzero(pairs)
        if count > most:
            break
    return int(count)


def _without_repeats(points: np.ndarray) -> np.ndarray:
    moved = (np.diff(points, axis=0) != 0).any(1)
    return points[np.concatenate([[True], moved])] if len(points) else points
