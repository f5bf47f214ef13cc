"""The synthetic root, opened as users open the real one."""
import filecmp
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.map_expansion.map_api import NuScenesMap
from nuscenes.utils import splits
from nuscenes.utils.geometry_utils import points_in_box
from pyquaternion import Quaternion

from data_tools.synthetic_nuscenes import write_synthetic_nuscenes
from data_tools.synthetic_nuscenes.options import Options
from data_tools.synthetic_nuscenes.scene_writer import (
    LEAD,
    SceneWriter,
    open_world,
)
from data_tools.synthetic_nuscenes.scenes import plan_scenes, scene_names
from ddp_perception.cli.main import main
from tests.synthetic import TINY

warnings.filterwarnings('ignore', module='nuscenes')

POLYGONS = ['drivable_area', 'ped_crossing', 'walkway', 'stop_line',
            'carpark_area']
DIVIDERS = ['road_divider', 'lane_divider']


@pytest.fixture(scope='module')
def nusc(synthetic_root):
    return NuScenes('v1.0-mini', str(synthetic_root), verbose=False)


@pytest.fixture(scope='module')
def maps(synthetic_root, nusc):
    return {log['location']: NuScenesMap(str(synthetic_root), log['location'])
            for log in nusc.log}


def pose(record):
    matrix = np.eye(4)
    matrix[:3, :3] = Quaternion(record['rotation']).rotation_matrix
    matrix[:3, 3] = record['translation']
    return matrix


def global_from_sensor(nusc, sample_data):
    return pose(nusc.get('ego_pose', sample_data['ego_pose_token'])) @ pose(
        nusc.get('calibrated_sensor', sample_data['calibrated_sensor_token']))


def lidar_points(nusc, sample_data):
    raw = np.fromfile(nusc.get_sample_data_path(sample_data['token']),
                      np.float32).reshape(-1, 5)
    return raw


def chain(get, first):
    records = []
    token = first
    while token:
        records.append(get(token))
        assert records[-1]['prev'] == (records[-2]['token'] if records[1:]
                                       else '')
        token = records[-1]['next']
    return records


def location_of(nusc, sample):
    scene = nusc.get('scene', sample['scene_token'])
    return nusc.get('log', scene['log_token'])['location']


def test_the_devkit_finds_the_official_splits(nusc):
    names = {scene['name'] for scene in nusc.scene}
    by_split = splits.create_splits_scenes()
    assert len(names) == TINY['scenes']
    assert len(names & set(by_split['mini_val'])) == 1
    assert len(names & set(by_split['mini_train'])) == 2


def test_samples_and_their_data_are_chained(nusc):
    for scene in nusc.scene:
        samples = chain(lambda t: nusc.get('sample', t),
                        scene['first_sample_token'])
        assert len(samples) == scene['nbr_samples'] == TINY['keyframes']
        assert samples[-1]['token'] == scene['last_sample_token']
        assert np.diff([s['timestamp'] for s in samples]).tolist() == [
            500_000]
        for channel in samples[0]['data']:
            first = samples[0]['data'][channel]
            frames = chain(lambda t: nusc.get('sample_data', t), first)
            expected = 2 + (TINY['lidar_sweeps'] if channel == 'LIDAR_TOP'
                            else 0)
            assert len(frames) == expected
            stamps = [f['timestamp'] for f in frames]
            assert stamps == sorted(stamps)
            keys = [f for f in frames if f['is_key_frame']]
            assert [f['sample_token'] for f in keys] == [
                s['token'] for s in samples]
            for frame in frames:
                path = Path(nusc.get_sample_data_path(frame['token']))
                assert path.stat().st_size > 0
                assert str(frame['timestamp']) in path.name
                folder = 'samples' if frame['is_key_frame'] else 'sweeps'
                assert path.parts[-3] == folder


def test_pictures_and_sweeps_have_the_sizes_that_are_recorded(nusc):
    for record in nusc.sample_data:
        if record['channel'] == 'LIDAR_TOP':
            points = lidar_points(nusc, record)
            assert len(points) > 1000
            assert points[:, 4].min() >= 0 and points[:, 4].max() == 15
            assert 0 <= points[:, 3].min() and points[:, 3].max() <= 255
        else:
            image = cv2.imread(nusc.get_sample_data_path(record['token']))
            assert image.shape == (record['height'], record['width'], 3)
            assert image.shape == (90, 160, 3) and image.std() > 10


def test_cameras_look_where_their_names_say(nusc):
    ahead = {'CAM_FRONT': 0, 'CAM_FRONT_LEFT': 55, 'CAM_BACK_LEFT': 110,
             'CAM_BACK': 180, 'CAM_BACK_RIGHT': -110, 'CAM_FRONT_RIGHT': -55}
    for record in nusc.calibrated_sensor:
        channel = nusc.get('sensor', record['sensor_token'])['channel']
        matrix = pose(record)
        if channel == 'LIDAR_TOP':
            np.testing.assert_allclose(matrix[:3, :3] @ (0, 1, 0), (1, 0, 0),
                                       atol=.03)
            assert matrix[2, 3] == pytest.approx(1.84, abs=.03)
            continue
        x, y, z = matrix[:3, 2]
        off = np.degrees(np.arctan2(y, x)) - ahead[channel]
        assert abs((off + 180) % 360 - 180) < 4 and abs(z) < .05
        assert matrix[2, 1] < -.99  # image down is down
        focal = record['camera_intrinsic'][0][0] * 1600 / 160
        assert focal == pytest.approx(809 if channel == 'CAM_BACK' else 1266,
                                      rel=.02)


def test_every_class_lies_within_the_masks_of_every_scene(nusc, maps):
    for scene in nusc.scene:
        sample = nusc.get('sample', scene['first_sample_token'])
        x, y = pose(nusc.get('ego_pose', nusc.get(
            'sample_data', sample['data']['LIDAR_TOP'])['ego_pose_token']))[
                :2, 3]
        expansion = maps[location_of(nusc, sample)]
        masks = expansion.get_map_mask((x, y, 100, 100), 0, POLYGONS,
                                       (200, 200))
        assert (masks.sum((1, 2)) > 40).all(), scene['name']
        near = expansion.get_records_in_patch(
            (x - 50, y - 50, x + 50, y + 50), DIVIDERS)
        assert near['road_divider']


def test_the_ego_drives_on_the_drivable_area_and_on_its_side(nusc, maps):
    for record in nusc.ego_pose:
        data = nusc.get('sample_data', record['token'])
        sample = nusc.get('sample', data['sample_token'])
        location = location_of(nusc, sample)
        expansion = maps[location]
        x, y = record['translation'][:2]
        assert expansion.layers_on_point(x, y, ['drivable_area'])[
            'drivable_area']
        assert nusc.get('map', nusc.get('log', nusc.get(
            'scene', sample['scene_token'])['log_token'])['map_token'])[
                'mask'].is_on_mask(x, y).all()
        lane = expansion.layers_on_point(x, y, ['lane'])['lane']
        if lane:  # between junctions: the lane's direction is its own
            yaw = Quaternion(record['rotation']).yaw_pitch_roll[0]
            path = expansion.discretize_lanes([lane], 1.)[lane]
            near = min(path, key=lambda p: np.hypot(p[0] - x, p[1] - y))
            assert np.cos(near[2] - yaw) > .9


def test_lidar_on_the_ground_agrees_with_the_map_below_it(nusc, maps):
    """Bright returns lie on paint or bays, high ones beside the road."""
    kept = {'paint': [], 'road': [], 'walkway': []}
    for sample in nusc.sample:
        data = nusc.get('sample_data', sample['data']['LIDAR_TOP'])
        matrix = global_from_sensor(nusc, data)
        points = lidar_points(nusc, data)
        place = points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
        x, y = matrix[:2, 3]
        masks = maps[location_of(nusc, sample)].get_map_mask(
            (x, y, 60, 60), 0, POLYGONS, (600, 600)).astype(bool)
        cell = np.floor((place[:, :2] - (x, y) + 30) * 10).astype(int)
        near = ((cell >= 0) & (cell < 600)).all(1) & (place[:, 2] < .3)
        at = masks[:, cell[near, 1], cell[near, 0]]
        height, power = place[near, 2], points[near, 3]
        drivable, walkway, parking = at[0], at[2], at[4]
        low = np.abs(height) < .05
        kept['paint'].append((drivable | parking)[low & (power > 70)])
        kept['road'].append(np.abs(height[drivable]) < .06)
        kept['walkway'].append(
            np.abs(height[walkway & ~parking & ~drivable] - .15) < .06)
    for name, values in kept.items():
        values = np.concatenate(values)
        assert len(values) > 30, name
        assert values.mean() > .93, (name, values.mean())


def test_lidar_projects_onto_the_depth_that_the_cameras_render(nusc):
    """The written calibration, against depth rendered anew."""
    options = Options(**TINY)
    errors = []
    for spec in plan_scenes('v1.0-mini', TINY['scenes'])[:2]:
        world = open_world(spec, options)
        scene = next(s for s in nusc.scene if s['name'] == spec.name)
        sample = nusc.get('sample', scene['first_sample_token'])
        data = nusc.get('sample_data', sample['data']['LIDAR_TOP'])
        place = lidar_points(nusc, data)[:, :3]
        matrix = global_from_sensor(nusc, data)
        place = place @ matrix[:3, :3].T + matrix[:3, 3]
        for channel in ('CAM_FRONT', 'CAM_BACK_LEFT', 'CAM_BACK'):
            camera = nusc.get('sample_data', sample['data'][channel])
            view = global_from_sensor(nusc, camera)
            intrinsic = np.array(nusc.get(
                'calibrated_sensor',
                camera['calibrated_sensor_token'])['camera_intrinsic'])
            time = LEAD + (camera['timestamp'] - spec.start) / 1e6
            shot = world.photograph(time, intrinsic, (160, 90), view)
            stored = cv2.imread(nusc.get_sample_data_path(camera['token']))
            difference = np.abs(stored[..., ::-1].astype(int) - shot.rgb)
            assert difference.mean() < 8  # sensor noise and JPEG
            local = (place - view[:3, 3]) @ view[:3, :3]
            pixel = local @ intrinsic.T
            u, v = np.round(pixel[:, :2] / pixel[:, 2:]).T
            ok = ((local[:, 2] > 2) & (local[:, 2] < 30) & (u >= 0)
                  & (u < 160) & (v >= 0) & (v < 90))
            depth = shot.depth[v[ok].astype(int), u[ok].astype(int)]
            errors.append(np.abs(depth - local[ok, 2]) / local[ok, 2])
    errors = np.concatenate(errors)
    assert len(errors) > 1500
    assert np.median(errors) < .015
    assert (errors < .1).mean() > .85


def test_boxes_hold_the_points_that_they_count(nusc):
    counted = 0
    for sample in nusc.sample:
        data = nusc.get('sample_data', sample['data']['LIDAR_TOP'])
        _, boxes, _ = nusc.get_sample_data(data['token'])
        points = lidar_points(nusc, data)[:, :3].T
        for box in boxes:
            annotation = nusc.get('sample_annotation', box.token)
            inside = points_in_box(box, points).sum()
            assert abs(int(inside) - annotation['num_lidar_pts']) <= 1
            counted += annotation['num_lidar_pts'] > 0
    assert counted > 20


def test_annotations_are_chained_and_named_as_in_nuscenes(nusc):
    seen = set()
    for instance in nusc.instance:
        records = chain(lambda t: nusc.get('sample_annotation', t),
                        instance['first_annotation_token'])
        assert len(records) == instance['nbr_annotations']
        assert records[-1]['token'] == instance['last_annotation_token']
        for record in records:
            seen.add(record['category_name'])
            attributes = [nusc.get('attribute', t)['name']
                          for t in record['attribute_tokens']]
            kind = record['category_name'].split('.')[0]
            group = {'human': 'pedestrian', 'movable_object': None}.get(
                kind, 'vehicle')
            if record['category_name'] in ('vehicle.bicycle',
                                           'vehicle.motorcycle'):
                group = 'cycle'
            assert [a.split('.')[0] for a in attributes] == (
                [group] if group else [])
            assert nusc.get('visibility', record['visibility_token'])
    assert {'vehicle.car', 'human.pedestrian.adult'} <= seen


def test_moving_vehicles_move_and_parked_ones_do_not(nusc):
    moving = []
    for record in nusc.sample_annotation:
        names = [nusc.get('attribute', t)['name']
                 for t in record['attribute_tokens']]
        speed = np.linalg.norm(nusc.box_velocity(record['token'])[:2])
        if np.isnan(speed):
            continue
        if names == ['vehicle.parked'] or names == ['vehicle.stopped']:
            assert speed < 1e-6
        elif names == ['vehicle.moving']:
            moving.append(speed)
    assert moving and all(3 < speed < 12 for speed in moving)


def test_stop_lines_name_their_cue_and_lanes_connect(maps):
    for expansion in maps.values():
        kinds = {r['stop_line_type'] for r in expansion.stop_line}
        assert {'TRAFFIC_LIGHT', 'PED_CROSSING'} <= kinds
        for record in expansion.stop_line:
            assert record['cue'] or record['stop_line_type'] == 'STOP_SIGN'
        tokens = {r['token'] for r in (*expansion.lane,
                                       *expansion.lane_connector)}
        assert set(expansion.connectivity) == tokens
        lane = expansion.lane[20]['token']
        for connector in expansion.get_outgoing_lane_ids(lane):
            assert lane in expansion.get_incoming_lane_ids(connector)
            end = expansion.discretize_lanes([lane], .5)[lane][-1]
            start = expansion.discretize_lanes([connector], .5)[connector][0]
            np.testing.assert_allclose(end[:2], start[:2], atol=.01)


def test_train_and_val_regions_do_not_overlap():
    specs = plan_scenes('v1.0-mini', 10)
    for n, a in enumerate(specs):
        for b in specs[n + 1:]:
            if a.location == b.location:
                assert np.abs(np.subtract(a.centre, b.centre)).max() >= 640
    assert sorted(s.name for s in specs) == sorted(
        splits.mini_train + splits.mini_val)
    val = {s.weather for s in specs if s.name in splits.mini_val}
    assert val <= {s.weather for s in specs if s.name in splits.mini_train}


def files_of(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob('*')
                  if p.is_file())


SMALL = dict(seed=5, scenes=2, keyframes=1, image_size=(64, 36), beams=8,
             azimuths=90, progress=False)


def test_bytes_do_not_depend_on_workers_or_interruptions(tmp_path,
                                                         monkeypatch):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    write_synthetic_nuscenes(whole, **SMALL)
    # Stopped in the second scene, after some of its files; then continued
    # by two processes.
    expose, frames = SceneWriter._expose, []

    def stop(self, frame):
        frames.append(frame)
        if len(frames) > 7 + 3:
            raise KeyboardInterrupt
        return expose(self, frame)

    monkeypatch.setattr(SceneWriter, '_expose', stop)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic_nuscenes(broken, **SMALL)
    monkeypatch.undo()
    assert not (broken / 'v1.0-mini').exists()
    sweeps = list((broken / 'samples' / 'LIDAR_TOP').iterdir())
    stamps = [f.stat().st_mtime_ns for f in sweeps]
    write_synthetic_nuscenes(broken, **SMALL, workers=2)
    # The finished scene was not written again, the other one was.
    kept = [f.stat().st_mtime_ns == t for f, t in zip(sweeps, stamps)]
    assert sorted(kept) == [False, True]
    assert files_of(whole) == files_of(broken)
    _, mismatch, errors = filecmp.cmpfiles(whole, broken, files_of(whole),
                                           shallow=False)
    assert not mismatch and not errors


def test_a_complete_set_is_left_alone_and_others_are_refused(synthetic_root,
                                                             tmp_path):
    stamp = (synthetic_root / 'synthetic.json').stat().st_mtime_ns
    write_synthetic_nuscenes(synthetic_root, **TINY, progress=False)
    assert (synthetic_root / 'synthetic.json').stat().st_mtime_ns == stamp
    with pytest.raises(FileExistsError, match='keyframes'):
        write_synthetic_nuscenes(synthetic_root, **{**TINY, 'keyframes': 3})
    foreign = tmp_path / 'home'
    foreign.mkdir()
    (foreign / 'thesis.tex').write_text('x')
    with pytest.raises(FileExistsError, match='not a synthetic set'):
        write_synthetic_nuscenes(foreign, overwrite=True)
    assert (foreign / 'thesis.tex').exists()


def test_bad_options_are_named(tmp_path, capsys):
    with pytest.raises(ValueError, match='beams must lie in 2..128, got 1'):
        write_synthetic_nuscenes(tmp_path / 'x', beams=1)
    with pytest.raises(ValueError, match='8 train and 2 val'):
        scene_names('v1.0-mini', 12)
    assert len(scene_names('v1.0-trainval', 40)) == 40
    assert main(['synthesize', 'nuscenes', str(tmp_path / 'x'), '--scenes', '1']) == 2
    assert 'at least 2' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['synthesize', 'nuscenes', str(tmp_path / 'x'), '--image-size', 'big'])
    assert not (tmp_path / 'x').exists()
