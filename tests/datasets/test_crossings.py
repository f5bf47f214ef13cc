"""Counting where an outline meets itself, against every pair of segments."""
import time

import numpy as np
import pytest
import shapely

from ddp_perception.datasets.crossings import count_crossings


def by_pairs(ring):
    """Count the pairs that are not neighbours one by one."""
    lines = [shapely.LineString(pair) for pair in zip(ring, ring[1:], strict=False)]
    last = len(lines) - 1
    closed = np.array_equal(ring[0], ring[-1])
    return sum(lines[i].intersects(lines[j]) for i in range(len(lines))
               for j in range(i + 2, len(lines))
               if not (closed and (i, j) == (0, last)))


@pytest.mark.parametrize('closed', [False, True])
def test_count_is_that_of_all_pairs(closed):
    rng = np.random.default_rng(5)
    for size in (4, 7, 30, 53):
        ring = rng.uniform(-50, 50, (size, 2))
        ring = np.concatenate([ring, ring[:1]]) if closed else ring
        expected = by_pairs(ring)
        assert count_crossings([ring], 10 ** 6) == expected
        doubled = np.repeat(ring, 2, axis=0)  # repeated points change nothing
        assert count_crossings([doubled], 10 ** 6) == expected


def test_rings_are_counted_together():
    square = np.array([(0., 0.), (4., 0.), (4., 4.), (0., 4.), (0., 0.)])
    assert count_crossings([square], 9) == 0
    assert count_crossings([square, square + 2], 9) == 2
    assert count_crossings([square, square + 9], 9) == 0
    assert count_crossings([np.zeros((0, 2)), np.zeros((5, 2))], 9) == 0


def test_counting_ends_at_the_limit():
    ring = np.random.default_rng(0).uniform(0, 1000, (20_000, 2))
    start = time.perf_counter()
    assert count_crossings([ring], 1000) > 1000  # of about 67 million
    assert time.perf_counter() - start < 5
