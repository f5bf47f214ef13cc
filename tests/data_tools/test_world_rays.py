"""Rays against solids and ground: closed forms and a naive search."""
import numpy as np
import pytest

from data_tools.world import labels, raycast, solids

KERB = 0.15


def hit(row, origin, direction):
    return raycast.hit_solid(row, *map(float, origin), *map(float, direction))


def inside(row, points):
    """Whether points lie in a (tapered, sheared) box, from its definition."""
    d = points - row[solids.CENTRE:solids.CENTRE + 3]
    c, s = row[solids.COS], row[solids.SIN]
    x, y, z = c * d[:, 0] + s * d[:, 1], -s * d[:, 0] + c * d[:, 1], d[:, 2]
    hx, hy, hz = row[solids.HALF:solids.HALF + 3]
    w = (z + hz) / (2 * hz)
    mid = row[solids.SHEAR] * w
    return ((np.abs(z) <= hz)
            & (np.abs(x - mid) <= hx - row[solids.TAPER_X] * w)
            & (np.abs(y) <= hy - row[solids.TAPER_Y] * w))


def test_sphere_is_hit_where_the_quadratic_says():
    row = solids.solid(solids.ELLIPSOID, (10, 0, 0), (2, 2, 2), 0, (0, 0, 0))
    t, face = hit(row, (0, 1, 0), (1, 0, 0))
    assert t == pytest.approx(10 - np.sqrt(3)) and face == 6
    assert hit(row, (0, 2.01, 0), (1, 0, 0))[0] == raycast.FAR
    assert hit(row, (20, 0, 0), (1, 0, 0))[0] == raycast.FAR  # behind


def test_distance_counts_in_the_directions_own_length():
    row = solids.solid(solids.BOX, (10, 0, 0), (1, 1, 1), 0, (0, 0, 0))
    assert hit(row, (0, 0, 0), (1, 0, 0))[0] == pytest.approx(9)
    assert hit(row, (0, 0, 0), (3, 0, 0))[0] == pytest.approx(3)


def test_tapered_box_is_hit_where_a_march_enters_it():
    rng = np.random.default_rng(0)
    row = solids.solid(solids.BOX, (6, 1, 1), (2, 1, 1), 0, (0, 0, 0),
                       yaw=.7, taper=(.5, .3), shear=-.2)
    t = np.arange(0, 14, 1e-3)
    hits = 0
    for _ in range(60):
        origin = rng.uniform((-2, -4, 0), (0, 4, 3))
        direction = np.array((6, 1, 1)) + rng.normal(0, 1.2, 3) - origin
        direction /= np.linalg.norm(direction)
        within = inside(row, origin + t[:, None] * direction)
        got, _ = hit(row, origin, direction)
        if within.any():
            hits += 1
            assert got == pytest.approx(t[within.argmax()], abs=2e-3)
        else:
            assert got == raycast.FAR or not within.any()
    assert hits > 20


def test_wheel_and_cylinder_are_the_same_solid_turned():
    upright = solids.solid(solids.CYLINDER, (5, 0, 0), (.5, .5, .2), 0,
                           (0, 0, 0))
    wheel = solids.solid(solids.WHEEL, (5, 0, 0), (.5, .2, .5), 0, (0, 0, 0))
    for y, z in ((0., .1), (.3, -.1), (.4, .05)):
        a, _ = hit(upright, (0, y, z), (1, .01, .02))
        b, _ = hit(wheel, (0, z, y), (1, .02, .01))
        assert a == pytest.approx(b) and a < raycast.FAR


def ground(material, origin, direction, limit=1e9):
    heights = np.array([0., KERB])
    return raycast.hit_ground(*map(float, origin), *map(float, direction),
                              limit, material, heights, 0., 0., .05, KERB)


def test_kerb_is_hit_on_its_top_its_face_and_missed_before_it():
    material = np.zeros((200, 400), np.uint8)
    material[:, 200:] = 1  # raised from x = 10 m
    eye, y = 1.5, 5.
    # Onto the road at x = 6, onto the kerb's face at 10, onto its top at 14.
    for x, height, upright in ((6., 0., False), (10., .08, True),
                               (14., KERB, False)):
        direction = np.array([x, 0, height - eye])
        t, side = ground(material, (0, y, eye), direction)
        assert side is upright
        assert t == pytest.approx(1, abs=6e-3)


def test_ground_behind_the_limit_or_above_the_horizon_is_not_hit():
    material = np.zeros((100, 100), np.uint8)
    assert ground(material, (0, 0, 1), (1, 0, 0))[0] == raycast.FAR
    assert ground(material, (0, 0, 1), (1, 0, .1))[0] == raycast.FAR
    assert ground(material, (0, 0, 1), (1, 0, -.5), 1.9)[0] == raycast.FAR
    assert ground(material, (0, 0, 1), (1, 0, -.5), 2.1)[0] == 2.


def test_placing_a_model_turns_its_points():
    row = solids.solid(solids.BOX, (2, 0, .5), (1, .5, .5), labels.CAR,
                       (9, 9, 9))
    moved = solids.place(row[None], 10, 20, .15, np.pi / 2, 7)[0]
    np.testing.assert_allclose(moved[1:4], (10, 22, .65), atol=1e-12)
    assert moved[solids.OBJECT] == 7
    corners = solids.footprint(moved)
    np.testing.assert_allclose(np.ptp(corners, axis=0), (1, 2), atol=1e-12)
