"""The road plan, its map layers, and the drives through it."""
import numpy as np
import pytest
import shapely
from shapely import Point

from data_tools.world import HALF_REGION, World, labels, plan_region
from data_tools.world.population import populate
from data_tools.world.scenery import build_scenery
from data_tools.world.solids import LABEL
from data_tools.world.trajectory import drive, ego_trajectory
from data_tools.world.warp import Warp


@pytest.fixture(scope='module', params=[1, -1])
def region(request):
    return plan_region((5, request.param + 1), (100., -40.), request.param)


def test_warp_keeps_angles_of_travel_and_refuses_folds():
    warp = Warp((3., 4.), .5, (5., .03, .2), (6., .02, 1.))
    uv = np.array([[10., 20.], [-30., 5.]])
    ahead = warp.points(uv + 1e-5 * np.array([1., 0.])) - warp.points(uv)
    np.testing.assert_allclose(warp.headings(uv, np.zeros(2)),
                               np.arctan2(ahead[:, 1], ahead[:, 0]),
                               atol=1e-4)
    with pytest.raises(ValueError, match='fold'):
        Warp((0., 0.), 0., (40., .03, 0.), (40., .03, 0.))


def test_layers_are_valid_and_within_the_region(region):
    for layer, records in region.map.layers.items():
        assert records, layer
        for record in records:
            shapes = record.geometry
            for shape in shapes if isinstance(shapes, list) else [shapes]:
                assert shape.is_valid, (layer, record.key)
                centre = np.array(shape.bounds).reshape(2, 2) - (100, -40)
                assert np.abs(centre).max() < HALF_REGION


def test_surfaces_meet_without_overlap(region):
    area = {name: shapely.union_all(region.map.polygons(name)) for name in (
        'drivable_area', 'walkway', 'carpark_area', 'ped_crossing',
        'stop_line')}
    for a, b in (('drivable_area', 'walkway'), ('drivable_area',
                 'carpark_area'), ('walkway', 'carpark_area')):
        shared = area[a].intersection(area[b]).area
        assert shared < .01 * area[b].area, (a, b)
    for name in ('ped_crossing', 'stop_line'):
        outside = area[name].difference(area['drivable_area']).area
        assert outside < .02 * area[name].area, name
    assert area['ped_crossing'].intersection(area['stop_line']).area < 1.


def test_traffic_keeps_to_its_side(region):
    side = region.layout.side
    for lane in region.graph.lanes.values():
        road = region.layout.road(lane.link.road_key)
        ahead = lane.line[1] - lane.line[0]
        centre = road.point(lane.link.start, 0.)
        # Positive where the lane lies left of the centre line.
        left = np.cross(ahead, lane.line[0] - centre)
        assert np.sign(left) == -side


def test_connectors_join_lanes_smoothly(region):
    lanes = region.graph.lanes
    for connector in region.graph.connectors:
        source, target = lanes[connector.source], lanes[connector.target]
        np.testing.assert_allclose(connector.line[0], source.line[1],
                                   atol=1e-9)
        np.testing.assert_allclose(connector.line[-1], target.line[0],
                                   atol=1e-9)
        for line, ahead in ((connector.line[:2], source.line),
                            (connector.line[-2:], target.line)):
            a, b = np.diff(line, axis=0)[0], np.diff(ahead, axis=0)[0]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert cosine > .99


@pytest.mark.parametrize('seed', range(4))
def test_ego_stays_on_the_road_within_its_limits(region, seed):
    ego = ego_trajectory(np.random.default_rng(seed), region.graph,
                         region.warp, 8.)
    road = shapely.union_all(region.map.polygons('drivable_area'))
    shapely.prepare(road)
    during = ego.times <= 8
    assert all(road.contains(Point(p)) for p in ego.xy[during][::5])
    times = np.arange(0, 8, .1)
    pose = np.array([ego.pose(t) for t in times])
    velocity = np.gradient(pose[:, :2], .1, axis=0)
    speed = np.hypot(*velocity.T)
    assert 1 < speed.min() and speed.max() < 10
    assert np.abs(np.gradient(speed, .1)).max() < 3.5
    slip = np.arctan2(velocity[:, 1], velocity[:, 0]) - pose[:, 2]
    slip = (slip + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(slip[1:-1]).max() < .12  # it faces where it goes


def test_drive_slows_down_for_a_bend():
    angle = np.linspace(0, np.pi / 2, 60)
    bend = np.stack((8 * np.sin(angle), 8 - 8 * np.cos(angle)), 1)
    path = np.concatenate(([[-60., 0.]], bend, [[8., 68.]]))
    ride = drive(path, 12.)
    speed = np.gradient(np.arange(len(ride.times)) * .1, ride.times)
    middle = np.argmin(np.hypot(*(ride.xy - (5.66, 2.34)).T))
    assert speed[middle] == pytest.approx(np.sqrt(2.2 * 8), rel=.15)
    assert speed[:100].max() > 10


def test_bustle_adds_people_and_enclosures_and_nothing_by_default():
    region = plan_region((5, 2), (100., -40.), 1)
    plan = region.layout, region.blocks, region.warp
    ego = ego_trajectory(np.random.default_rng(0), region.graph, region.warp,
                         2.)

    def people(*bustle):
        actors = populate(np.random.default_rng(1), *plan, ego, .5, *bustle)
        return sum(actor.category == 'pedestrian' for actor in actors)

    def scenery(*bustle):
        return build_scenery(np.random.default_rng(2), *plan, *bustle)

    def enclosures(*bustle):
        return np.isin(scenery(*bustle)[:, LABEL],
                       (labels.FENCE, labels.WALL)).sum()

    np.testing.assert_array_equal(scenery(), scenery(1.))
    assert people(3.) > 1.7 * people()
    assert enclosures(3.) > 10 + 2 * enclosures()


def test_a_world_refuses_a_bustle_that_is_not_positive():
    with pytest.raises(ValueError, match='bustle must be positive, got 0'):
        World(11, bustle=0)


def test_residential_streets_are_narrow_and_lined_with_parked_cars():
    region = plan_region((5, 2), (100., -40.), 1, residential=True)
    assert {road.lanes for road in region.layout.along} == {1}
    ego = ego_trajectory(np.random.default_rng(0), region.graph, region.warp,
                         2., anywhere=True)
    parked = {}
    for residential in (False, True):
        actors = populate(np.random.default_rng(1), region.layout,
                          region.blocks, region.warp, ego, .5, 1.,
                          residential)
        parked[residential] = [actor for actor in actors
                               if actor.state == 'parked']
    assert len(parked[True]) > 15 + len(parked[False])
    beside = [np.hypot(*(ego.xy - actor.pose(0)[:2]).T).min()
              for actor in parked[True]]
    assert min(beside) > .5 * (1.9 + 2.1)  # clear of the ego's way
