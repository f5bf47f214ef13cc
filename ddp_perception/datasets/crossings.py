"""At how many places an outline meets itself."""
import numpy as np
import shapely

_CHUNK = 16  # segments asked about at a time: small, so that counting ends early


def count_crossings(rings, most):
    """Count the pairs of segments that meet and are not neighbours.

    Args:
        rings (Sequence[ndarray]): (n, 2) points each; a ring is closed where its
            last point is its first.
        most (int): Stop counting beyond it. An outline of n points in random
            order has about n^2 / 6 crossings, all of which nobody needs to know.

    Returns:
        int: Crossings, touches and overlaps among the segments of all rings; any
        number above `most` where there are more than that.
    """
    rings = [_without_repeats(np.asarray(ring, float)) for ring in rings]
    rings = [ring for ring in rings if len(ring) > 1]
    if not rings:
        return 0
    ends = np.concatenate([np.stack([ring[:-1], ring[1:]], 1) for ring in rings])
    following = np.arange(1, len(ends) + 1)
    stop = 0
    for ring in rings:
        start, stop = stop, stop + len(ring) - 1
        closed = (ring[0] == ring[-1]).all()
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


def _without_repeats(points):
    moved = (np.diff(points, axis=0) != 0).any(1)
    return points[np.concatenate([[True], moved])] if len(points) else points
