"""Pictures and sweeps of one world: they show the same things."""
import numpy as np
import pytest

from data_tools.world import BeamPattern, World, labels
from data_tools.world.surfaces import INDEX, KERB_HEIGHT

SIZE = (240, 136)
INTRINSIC = np.array([[190., 0., 121.5], [0., 192., 70.25], [0., 0., 1.]])
AHEAD = np.array([[0., 0., 1., 1.5], [-1., 0., 0., 0.], [0., -1., 0., 1.5],
                  [0., 0., 0., 1.]])


def turn(yaw):
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.fixture(scope='module')
def world():
    return World(11, duration=1., cell=.1)


@pytest.fixture(scope='module', params=[0., 1.9, 3.6])
def shot(request, world):
    camera = world.ego_pose(.4) @ turn(request.param) @ AHEAD
    return camera, world.photograph(.4, INTRINSIC, SIZE, camera)


@pytest.fixture(scope='module')
def sweep(world):
    mount = turn(-np.pi / 2)
    mount[:3, 3] = .9, 0, 1.84
    pattern = BeamPattern(np.radians(np.linspace(-30, 10, 32)),
                          np.radians(-np.arange(720) / 2))
    pose = world.ego_pose(.4) @ mount
    return pose, world.scan(.4, pattern, pose)


def test_a_picture_has_its_parts(shot):
    _, seen = shot
    assert seen.rgb.shape == (136, 240, 3) and seen.depth.shape == (136, 240)
    np.testing.assert_array_equal(np.isinf(seen.depth),
                                  seen.label == labels.SKY)
    assert {labels.ROAD, labels.SKY, labels.BUILDING} <= set(
        np.unique(seen.label))
    assert seen.rgb.std() > 15


def test_depth_puts_ground_labels_at_their_height(shot):
    camera, seen = shot
    v, u = np.nonzero((seen.depth < 40) & np.isin(
        seen.label, [labels.ROAD, labels.TERRAIN, labels.PARKING]))
    d = seen.depth[v, u]
    local = np.stack(((u - 121.5) / 190 * d, (v - 70.25) / 192 * d, d), 1)
    height = (local @ camera[:3, :3].T + camera[:3, 3])[:, 2]
    raised = seen.label[v, u] == labels.TERRAIN
    np.testing.assert_allclose(height[raised], KERB_HEIGHT, atol=1e-4)
    np.testing.assert_allclose(height[~raised], 0, atol=1e-4)


def test_lidar_points_lie_at_the_depth_that_cameras_see(shot, sweep):
    camera, seen = shot
    pose, points = sweep
    world_points = points.points @ pose[:3, :3].T + pose[:3, 3]
    inverse = np.linalg.inv(camera)
    local = world_points @ inverse[:3, :3].T + inverse[:3, 3]
    z = local[:, 2]
    with np.errstate(divide='ignore'):
        u = 190 * local[:, 0] / z + 121.5
        v = 192 * local[:, 1] / z + 70.25
    ok = (z > 2) & (u > 1) & (u < 238) & (v > 1) & (v < 134)
    assert ok.sum() > 500
    u, v = np.round(u[ok]).astype(int), np.round(v[ok]).astype(int)
    error = np.abs(seen.depth[v, u] - z[ok]) / z[ok]
    # The sensors look from different places: edges occlude differently, and
    # half a pixel matters at grazing angles.
    assert np.median(error) < .01
    assert (error < .06).mean() > .85
    things = (points.thing[ok] == seen.thing[v, u]).mean()
    assert things > .93


def test_returns_tell_paint_from_asphalt_and_kerbs_from_roads(world, sweep):
    pose, points = sweep
    height = (points.points @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    near = np.hypot(*points.points[:, :2].T) < 15

    def of(name):
        return near & (points.surface == INDEX[name])

    asphalt, paint = of('asphalt'), of('white_paint')
    assert asphalt.sum() > 200 and paint.sum() > 10
    assert np.percentile(points.intensity[paint], 10) > 2 * np.percentile(
        points.intensity[asphalt], 90)
    walk = of('walkway') | of('kerb') | of('grass')
    assert np.median(height[walk]) - np.median(
        height[asphalt]) == pytest.approx(KERB_HEIGHT, abs=.02)
    assert points.intensity.min() >= 0 and points.intensity.max() <= 255


def test_things_shown_are_where_their_boxes_are(world, sweep):
    pose, points = sweep
    place = points.points @ pose[:3, :3].T + pose[:3, 3]
    found = np.unique(points.thing[points.thing >= 0])
    assert len(found) >= 3
    for thing in found:
        actor = world.actors[thing]
        x, y, yaw = actor.pose(.4)
        local = (place[points.thing == thing] - (x, y, actor.base)) @ turn(
            yaw)[:3, :3]
        half = np.array(actor.size) / 2 + .06
        assert (np.abs(local[:, :2]) < half[:2]).all()
        assert (local[:, 2] > -.06).all()
        assert (local[:, 2] < actor.size[2] + .06).all()


def test_nothing_collides(world):
    from shapely import Polygon
    for time in (0., .5, 1.):
        boxes = []
        for actor in world.actors:
            x, y, yaw = actor.pose(time)
            corner = .5 * np.array(actor.size[:2])
            signs = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
            boxes.append(Polygon((signs * corner) @ turn(yaw)[:2, :2].T
                                 + (x, y)))
        for n, box in enumerate(boxes):
            assert not any(box.intersects(o) for o in boxes[n + 1:])


def test_the_same_seed_gives_the_same_world(world):
    again = World(11, duration=1., cell=.1)
    np.testing.assert_array_equal(again.solids(.3), world.solids(.3))
    np.testing.assert_array_equal(again.ground.texture, world.ground.texture)
    other = World(12, duration=1., cell=.1)
    assert other.solids(.3).shape != world.solids(.3).shape


def test_bad_arguments_are_named(world):
    with pytest.raises(ValueError, match='side must be -1 or 1, got 0'):
        World(0, side=0)
    with pytest.raises(ValueError, match="'snow'"):
        World(0, weather='snow')
    skewed = INTRINSIC.copy()
    skewed[0, 1] = 1
    with pytest.raises(ValueError, match='skew'):
        world.photograph(0, skewed, SIZE, np.eye(4))
