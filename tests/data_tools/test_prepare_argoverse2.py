"""Logs of Argoverse 2 as frames of one's own, against Argoverse's own API.

A log is written as the data set's are, its map from the API's classes; what is
prepared of it, and read by `ddp.BEVDataset`, is compared with what the API says.
"""
import json
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyquaternion import Quaternion

from ddp_perception.cli.main import main

LOGS = ('1a', '2b')
TIMES = 315969904359876000 + 100_000_000 * np.arange(6)
SIZE = (155, 204)
"""Width and height of the front camera; the others lie on their side."""


@pytest.fixture
def api():
    return pytest.importorskip('av2.map.map_api', exc_type=ImportError)


def pose(index):
    """Where the vehicle is at a sweep: it drives and turns."""
    turn = Quaternion(axis=[0, 0, 1], degrees=30 + 8 * index)
    return turn, np.array([2000. + 3 * index, 700. + 2 * index, 12.])


def pose_rows():
    rows = []
    for index, time in enumerate(TIMES.tolist()):
        for later in (0, 7_000_000):  # the sweep's, the cameras'
            turn, place = pose(index + later / 1e8)
            rows.append((time + later, *turn.elements, *place))
    return rows


def static_map(api):
    """Return a map of the API: two areas, one crossing itself; lanes side by side."""
    from av2.map.drivable_area import DrivableArea
    from av2.map.lane_segment import LaneMarkType, LaneSegment, LaneType
    from av2.map.map_primitives import Point, Polyline
    from av2.map.pedestrian_crossing import PedestrianCrossing

    def points(*pairs):
        return [Point(x, y, 12.) for x, y in pairs]

    def lane(number, low, high, left, right):
        return LaneSegment(
            number, False, LaneType.VEHICLE, Polyline(points(*low)),
            Polyline(points(*high)), LaneMarkType(right), LaneMarkType(left), [], [])

    rows = [[(1950., y), (2000., y + 10), (2060., y + 20)] for y in (690., 694., 698.)]
    areas = [DrivableArea(number, points(*corners)) for number, corners in (
        (1, ((1950, 680), (2060, 690), (2060, 730), (1950, 720))),
        (2, ((1985, 730), (1995, 750), (1985, 750), (1995, 730))))]
    crossing = PedestrianCrossing(
        3, Polyline(points((2010., 690.), (2010., 725.))),
        Polyline(points((2014., 690.), (2014., 725.))))
    lanes = [lane(4, rows[0], rows[1], 'DASHED_WHITE', 'NONE'),
             # The same boundary again, the other way round.
             lane(5, rows[1][::-1], rows[2], 'SOLID_YELLOW', 'DASHED_WHITE')]
    return api.ArgoverseStaticMap('x', {a.id: a for a in areas},
                                  {one.id: one for one in lanes}, {3: crossing},
                                  None, None, None)


def records(polyline):
    return [vars(point) for point in polyline]


def write_map(path, content):
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({
        'drivable_areas': {str(key): {
            'id': key, 'area_boundary': records(one.area_boundary)}
            for key, one in content.vector_drivable_areas.items()},
        'pedestrian_crossings': {str(key): {
            'id': key, 'edge1': records(one.edge1.waypoints),
            'edge2': records(one.edge2.waypoints)}
            for key, one in content.vector_pedestrian_crossings.items()},
        'lane_segments': {str(key): {
            'id': key, 'lane_type': one.lane_type, 'is_intersection': False,
            'predecessors': [], 'successors': [], 'left_neighbor_id': None,
            'right_neighbor_id': None, 'left_lane_mark_type': one.left_mark_type,
            'right_lane_mark_type': one.right_mark_type,
            'left_lane_boundary': records(one.left_lane_boundary.waypoints),
            'right_lane_boundary': records(one.right_lane_boundary.waypoints)}
            for key, one in content.vector_lane_segments.items()}}))


def write_log(log, api):
    from data_tools.prepare_argoverse2 import CAMERAS
    write_map(log / f'map/log_map_archive_{log.name}____PIT_city_1.json',
              static_map(api))
    quaternion, place = ['qw', 'qx', 'qy', 'qz'], ['tx_m', 'ty_m', 'tz_m']
    pd.DataFrame(pose_rows(), columns=['timestamp_ns', *quaternion, *place]).to_feather(
        log / 'city_SE3_egovehicle.feather')
    (log / 'calibration').mkdir()
    lens, mounts = [], []
    forward = Quaternion(matrix=np.array([[0., 0, 1], [-1, 0, 0], [0, -1, 0]]))
    for number, name in enumerate(CAMERAS):
        width, height = SIZE if name == 'ring_front_center' else SIZE[::-1]
        lens.append((name, 170., 171., width / 2 + 1, height / 2 - 2, 0., 0., 0.,
                     height, width))
        turn = Quaternion(axis=[0, 0, 1], degrees=50 * number) * forward
        mounts.append((name, *turn.elements, 1.5, .1 * number, 1.4))
        folder = log / 'sensors/cameras' / name
        folder.mkdir(parents=True)
        for time in TIMES.tolist():
            Image.new('RGB', (width, height), (90, 20 * number, 40)).save(
                folder / f'{time + 7_000_000}.jpg')
    pd.DataFrame(lens, columns=['sensor_name', 'fx_px', 'fy_px', 'cx_px', 'cy_px', 'k1',
                                'k2', 'k3', 'height_px', 'width_px']
                 ).to_feather(log / 'calibration/intrinsics.feather')
    pd.DataFrame(mounts, columns=['sensor_name', *quaternion, *place]).to_feather(
        log / 'calibration/egovehicle_SE3_sensor.feather')
    draw = np.random.default_rng(0)
    (log / 'sensors/lidar').mkdir()
    for time in TIMES.tolist():
        xyz = draw.uniform(-40, 40, (200, 3)).astype(np.float16)
        pd.DataFrame(dict(zip('xyz', xyz.T), intensity=draw.integers(
            0, 256, 200).astype(np.uint8), laser_number=np.uint8(1), offset_ns=0)
            ).to_feather(log / f'sensors/lidar/{time}.feather')


@pytest.fixture
def folder(tmp_path, api):
    """Prepared, every second sweep."""
    for log in LOGS:
        write_log(tmp_path / 'sensor/val' / log, api)
    assert main(['prepare', 'argoverse2', str(tmp_path / 'sensor'),
                 str(tmp_path / 'frames'), '--every', '2']) == 0
    return tmp_path / 'frames'


def samples(folder):
    from ddp_perception.datasets import BEVDataset
    return BEVDataset(folder, 'val.json', [
        dict(type='ddp.LoadPoints', load_dim=4, use_dim=4),
        dict(type='ddp.LoadBEVMasks', xbound=(-30, 30, .5), ybound=(-40, 40, .5),
             classes=['drivable_area', 'ped_crossing', 'divider'])])


def from_bev(xy, log, time):
    """Return BEV coordinates in the city, by the API's pose."""
    from av2.utils.io import read_city_SE3_ego
    ego = np.stack([xy[:, 1], -xy[:, 0], np.zeros(len(xy))], 1)  # forward, left, up
    return read_city_SE3_ego(log)[time].transform_point_cloud(ego)


@pytest.mark.slow
def test_maps_points_and_cameras_are_those_of_the_api(folder, tmp_path, api):
    from av2.geometry.camera.pinhole_camera import PinholeCamera
    from av2.utils.io import read_lidar_sweep
    dataset = samples(folder)
    assert len(dataset) == 6
    area = static_map(api).get_scenario_vector_drivable_areas()[0]
    area.area_boundary.append(area.area_boundary[0])
    layer = api.DrivableAreaMapLayer.from_vector_data([area])
    x, y = np.meshgrid(np.arange(-29.75, 30, .5), np.arange(-39.75, 40, .5),
                       indexing='ij')
    for number in (1, 5):
        sample = dataset[number]
        log = tmp_path / 'sensor/val' / sample['scene_name']
        time = int(sample['token'].split('_')[1])
        assert sample['token'] == f'{LOGS[number // 3]}_{TIMES[2 * (number % 3)]}'
        city = from_bev(np.stack([x.ravel(), y.ravel()], 1), log, time)
        theirs = layer.get_raster_values_at_coords(city, 0).reshape(x.shape) > 0
        ours = sample['gt_masks_bev'][0] > 0
        below = (city[:, 1] < 729).reshape(x.shape)  # where the second area is not
        assert theirs[below].any() and not theirs[below].all()
        assert (ours != theirs)[below].mean() < .02  # the outline alone
        crossing = ((np.abs(city[:, 0] - 2012) < 1.5) & (city[:, 1] > 691)
                    & (city[:, 1] < 724)).reshape(x.shape)
        assert crossing.any() and sample['gt_masks_bev'][1][crossing].all()
        assert sample['gt_masks_bev'][1].sum() * .25 < 1.3 * 4 * 35
        sweep = read_lidar_sweep(log / f'sensors/lidar/{time}.feather')
        points = sample['points'].tensor.numpy()
        np.testing.assert_allclose(points[:, :3], sweep[:, [1, 0, 2]] * [-1, 1, 1],
                                   atol=1e-3)
        assert points[:, 3].max() > 200
        for name, record in sample['images'].items():
            uv, seen, _ = PinholeCamera.from_feather(log, name).project_ego_to_img(
                sweep + pose_change(log, time, sweep))
            ahead = seen[:, 2] > 1
            pixel = (record['cam2img'] @ (np.array(record['lidar2cam']) @ np.c_[
                points[:, :3], np.ones(len(points))].T)[:3]).T
            np.testing.assert_allclose((pixel[:, :2] / pixel[:, 2:])[ahead], uv[ahead],
                                       rtol=1e-3, atol=.05)


def pose_change(log, time, points):
    """Return how far points of the sweep's ego frame move in that of the cameras."""
    from av2.utils.io import read_city_SE3_ego
    poses = read_city_SE3_ego(log)
    between = poses[time + 7_000_000].inverse().compose(poses[time])
    return between.transform_point_cloud(points) - points


@pytest.mark.slow
def test_boundaries_are_painted_ones_once_and_outlines_are_repaired(folder):
    content = json.loads((folder / 'maps/1a.geojson').read_text())
    found = {}
    for feature in content['features']:
        found.setdefault(feature['properties']['class'], []).append(
            feature['geometry'])
    assert [len(found[name]) for name in ('drivable_area', 'ped_crossing', 'divider')
            ] == [3, 1, 2]  # the area that crosses itself is two triangles
    ends = sorted(min(y for _, y in line['coordinates']) for line in found['divider'])
    assert ends == [694., 698.]  # 690 is not painted, two lanes share 694


@pytest.mark.slow
def test_the_folder_passes_the_check(folder, capsys):
    capsys.readouterr()
    assert main(['prepare', 'custom', str(folder)]) == 0
    out = capsys.readouterr().out
    assert '6 frames of 2 scenes' in out
    assert 'camera ring_front_center: 155 x 204' in out
    assert 'lidar: 200 points a frame, 4 values each' in out


@pytest.mark.slow
def test_sweeps_without_a_pose_or_an_image_are_left_out_and_counted(
        tmp_path, api, capsys):
    log = tmp_path / 'mine/1a'
    write_log(log, api)
    for time in TIMES[2:5].tolist():  # the nearest to the third is then too far
        (log / f'sensors/cameras/ring_rear_left/{time + 7_000_000}.jpg').unlink()
    arguments = ['prepare', 'argoverse2', str(tmp_path / 'mine'), str(tmp_path / 'out')]
    assert main([*arguments, '--every', '1']) == 0
    assert 'mine.json: 4 frames; 2 sweeps left out' in capsys.readouterr().out
    assert main([*arguments, '--every', '0']) == 1
    assert 'every must be at least 1, got 0' in capsys.readouterr().err
    next((log / 'map').iterdir()).unlink()
    assert main(arguments) == 1
    assert f'{log}/map must hold one log_map_archive' in capsys.readouterr().err
    assert main(['prepare', 'argoverse2', str(tmp_path / 'out'), str(tmp_path)]) == 1
    assert 'has no log of Argoverse 2' in capsys.readouterr().err


def test_missing_package_is_named_with_what_goes_with_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, 'av2.map.map_api', None)
    assert main(['prepare', 'argoverse2', str(tmp_path), str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert 'pip install "av2" "pyarrow<26"' in error and 'Traceback' not in error
