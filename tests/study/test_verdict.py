from math import nan, sqrt

import pytest

from ddp_perception.study import Spread, paired, verdict


def test_differences_are_taken_pair_by_pair():
    # 2, 1, 4: mean 7/3; squared distances 1/9, 16/9, 25/9 over 2 degrees of freedom
    found = paired([3., 4., 5.], [1., 3., 1.])
    assert found.mean == pytest.approx(7 / 3)
    assert found.spread == pytest.approx(sqrt(42 / 9 / 2))
    assert found.repeats == 3


def test_pairs_need_both():
    with pytest.raises(ValueError):
        paired([1., 2.], [1.])


@pytest.mark.parametrize('mean, spread, least, expected', [
    (1.0, 0.49, 0., 'holds'), (1.0, 0.5, 0., 'not shown'),  # two spreads, exactly
    (-1.0, 0.49, 0., 'does not hold'), (-1.0, 0.51, 0., 'not shown'),
    (0., 0., 0., 'not shown'), (0.1, 0., 0., 'holds'),
    (1.0, 0.1, 1., 'holds'), (0.9, 0.1, 1., 'not shown'),  # as large as claimed?
    (0.7, 0.1, 1., 'does not hold'), (1.5, 0.8, 1., 'not shown'),
    (-0.1, 0.05, -0.3, 'holds'), (-0.1, 0.15, -0.3, 'not shown'),  # little is lost?
    (-0.6, 0.1, -0.3, 'does not hold')])
def test_verdict_from_two_spreads_on(mean, spread, least, expected):
    assert verdict(Spread(mean, spread, 3), least) == expected


def test_too_few_repeats_show_nothing():
    assert verdict(Spread(5., 0.1, 2)) == 'not shown'
    assert verdict(Spread.of([5.])) == 'not shown'
    assert verdict(Spread.of([])) == 'not shown'
    assert verdict(Spread(nan, 0.1, 3)) == 'not shown'
