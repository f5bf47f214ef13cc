"""The synthetic KITTI root, opened as users open the real one."""
import types

import cv2
import numpy as np
import pytest
from pyquaternion import Quaternion

from data_tools.prepare_kitti import check_split
from data_tools.synthetic.sensors import AHEAD, Calibration, photograph
from data_tools.synthetic_kitti import calibration, depth_map, write_synthetic_kitti
from data_tools.synthetic_kitti.options import Options
from data_tools.synthetic_kitti.writer import (
    _write_drive,
    drive_name,
    frame_numbers,
    open_world,
    plan,
    sensors,
)
from data_tools.world import Sweep
from ddp_perception.cli.main import main
from ddp_perception.datasets import KITTIDepthDataset
from ddp_perception.datasets.kitti_splits import read_split
from tests.synthetic import TINY_KITTI, make_synthetic_kitti

OPTIONS = Options(**TINY_KITTI)
SPLITS = 'kitti_eigen_train.txt', 'kitti_eigen_test.txt'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_synthetic_kitti(tmp_path_factory.mktemp('synthetic') / 'kitti')


@pytest.fixture(scope='module')
def opened():
    """Drive and its world, for both drives."""
    return [(d, open_world(d, OPTIONS)) for d in plan(OPTIONS)]


def stored(root, drive, number):
    name = drive_name(drive)
    image = cv2.imread(str(root / 'input' / name[:10] / name / 'image_02' /
                           'data' / f'{number:010d}.png'),
                       cv2.IMREAD_UNCHANGED)
    depth = cv2.imread(str(root / 'gt_depth' / name / 'proj_depth' /
                           'groundtruth' / 'image_02' / f'{number:010d}.png'),
                       cv2.IMREAD_UNCHANGED)
    return image, depth


def test_files_have_the_types_of_kitti(root, opened):
    for drive, _ in opened:
        for number in frame_numbers(OPTIONS):
            image, depth = stored(root, drive, number)
            assert image.shape == (96, 320, 3) and image.dtype == np.uint8
            assert depth.shape == (96, 320) and depth.dtype == np.uint16
            assert image.std() > 10
            assert depth[depth > 0].min() > 256  # nothing within a metre
            assert depth.max() < 105 * 256


def test_depth_is_what_the_camera_sees(root, opened):
    """Against depth rendered anew, dense and without a LiDAR."""
    for drive, world in opened:
        number = frame_numbers(OPTIONS)[-1]
        camera, _ = sensors(drive, number, OPTIONS)
        image, depth = stored(root, drive, number)
        shot = photograph(world, number / 10, camera, OPTIONS.image_size, 0)
        # The picture is that very view: only the sensor's noise differs.
        assert np.abs(image[..., ::-1].astype(int) - shot.rgb).mean() < 4
        seen = depth > 0
        assert np.isfinite(shot.depth[seen]).all()
        error = np.abs(depth[seen] / 256 / shot.depth[seen] - 1)
        assert np.median(error) < .01 and error.max() < .055


def test_depth_is_as_sparse_as_that_of_kitti(root, opened):
    """Annotated maps of KITTI: 16 % of all pixels; raw sweeps 4 %."""
    for drive, world in opened:
        number = frame_numbers(OPTIONS)[0]
        camera, lidar = sensors(drive, number, OPTIONS)
        _, depth = stored(root, drive, number)
        assert .09 < (depth > 0).mean() < .2
        assert .13 < (depth[32:] > 0).mean() < .3
        assert (depth[:12] > 0).mean() < .05  # beams end 2 degrees up
        points = depth_map.accumulate(
            world, number / 10, lidar,
            calibration.beam_pattern(0, 0, OPTIONS.image_size), 1, 0)
        shot = photograph(world, number / 10, camera, OPTIONS.image_size, 0)
        raw = depth_map.project(
            points, world.ego_pose(number / 10) @ camera.ego_from_sensor(),
            camera.intrinsic, shot.depth)
        assert .02 < (raw > 0).mean() < .055


def test_splits_list_files_that_exist_and_share_no_drive(root):
    drives = []
    for name in SPLITS:
        report = check_split(root, root / name, progress=False)
        assert report == {'frames': 2, 'dropped': 0, 'missing': [],
                          'wrong': []}
        frames, _ = read_split(root / name)
        drives.append({frame.image.split('/')[1] for frame in frames})
        for frame in frames:
            assert frame.focal == pytest.approx(721.5377 * 320 / 1242, abs=.01)
    assert not drives[0] & drives[1]
    assert len(list(root.rglob('*.png'))) == 8


def test_train_and_test_drive_through_different_worlds(opened):
    (_, one), (_, two) = opened
    assert np.abs(one.ego_pose(0.) - two.ego_pose(0.)).max() > 1
    assert len(one.solids(0.)) != len(two.solids(0.))


def test_the_dataset_class_opens_it(root):
    for name in SPLITS:
        dataset = KITTIDepthDataset(name, root)
        assert len(dataset) == 2
        sample = dataset.get_data_info(1)
        depth = cv2.imread(sample['depth_map_path'], cv2.IMREAD_UNCHANGED)
        assert depth.shape == cv2.imread(sample['img_path']).shape[:2]


def test_calibration_files_lead_from_lidar_to_picture(root):
    values = {}
    for path in (root / 'input' / '2011_09_26').glob('*.txt'):
        for line in path.read_text().splitlines()[1:]:
            key, _, numbers = line.partition(': ')
            values[key] = np.array(numbers.split(), float)
    point = np.array([12., -3., -.5, 1.])
    camera_from_lidar = np.column_stack((values['R'].reshape(3, 3),
                                         values['T']))
    in_reference = values['R_rect_00'].reshape(3, 3) @ (
        camera_from_lidar @ point)
    pixel = values['P_rect_02'].reshape(3, 4) @ (*in_reference, 1)
    lean = plan(OPTIONS)[0].lean(0, 5)
    camera, lidar = calibration.rig(lean, (320, 96))
    local = np.linalg.inv(camera.ego_from_sensor()) @ (
        lidar.ego_from_sensor() @ point)
    expected = camera.intrinsic @ local[:3]
    np.testing.assert_allclose(pixel, expected, rtol=1e-5)
    assert camera.translation[2] == pytest.approx(1.65, abs=.12)
    assert lidar.translation[2] == pytest.approx(1.73, abs=.12)


def test_moving_things_come_from_the_frames_own_sweep():
    """The ego drives 1 m a sweep past a still thing (0), a moving one (1)."""

    def scan(time, pattern, pose, seed):
        here = pose[0, 3]
        points = np.array([[5 - here, 0, 0], [20 + 30 * time - here, 1, 0],
                           [9 - here, 2, 0]], np.float32)
        return Sweep(points, None, None, np.array([0, 1, -1], np.int32), None)

    def ego_pose(time):
        pose = np.eye(4)
        pose[0, 3] = 10 * time
        return pose

    world = types.SimpleNamespace(
        actors=[types.SimpleNamespace(is_still=True),
                types.SimpleNamespace(is_still=False)],
        scan=scan, ego_pose=ego_pose)
    lidar = Calibration(np.zeros(3), Quaternion())
    points = depth_map.accumulate(world, 2., lidar, None, 3, 0)
    assert len(points) == 7
    still, moving, ground = (points[np.abs(points[:, 1] - y) < .5]
                             for y in (0, 1, 2))
    np.testing.assert_allclose(still[:, 0], 5, atol=1e-5)
    np.testing.assert_allclose(ground[:, 0], 9, atol=1e-5)
    np.testing.assert_allclose(moving[:, 0], 80, atol=1e-4)


def test_projection_keeps_the_nearest_visible_point():
    intrinsic = np.array([[10., 0., 3.], [0., 10., 2.], [0., 0., 1.]])
    rendered = np.full((5, 7), 8.)
    rendered[2, 4] = np.inf
    pose = np.eye(4)
    pose[:3, :3] = AHEAD  # looks along x; image right is -y
    pose[:3, 3] = 1, 2, 3

    def world(x, y, z):
        return pose[:3, :3] @ (x, y, z) + pose[:3, 3]

    points = np.array([
        world(0, 0, 8.1), world(0, 0, 7.9),    # both seen: nearest
        world(-.8, 0, 8.5),                    # behind what is seen
        world(.8, 0, 8),                       # in the sky
        world(0, .8, 8), world(0, -2.08, 8),   # one row below; outside
        world(0, 0, -8)])                      # behind the camera
    depth = depth_map.project(points, pose, intrinsic, rendered)
    expected = np.zeros((5, 7))
    expected[2, 3], expected[3, 3] = 7.9, 8
    np.testing.assert_allclose(depth, expected)


def test_depth_is_stored_as_256_per_metre():
    coded = depth_map.encode(np.array([[0., 1., 80.5, 300.]]))
    assert coded.dtype == np.uint16
    assert coded.tolist() == [[0, 256, 20608, 65535]]


def test_beams_are_those_of_the_sensor_and_in_proportion():
    real = calibration.beam_pattern(0, 0, (1242, 375))
    assert len(real.elevations) == 64 and len(real.azimuths) == 2083
    degrees = np.degrees(real.elevations)
    assert degrees[0] == pytest.approx(-24.33) and degrees[-1] == 2
    assert (np.diff(degrees) > .3).all() and (np.diff(degrees) < .51).all()
    small = calibration.beam_pattern(0, 0, (414, 125))
    assert len(small.elevations) == 21 and len(small.azimuths) == 694
    given = calibration.beam_pattern(16, 360, (414, 125))
    assert len(given.elevations) == 16 and len(given.azimuths) == 360


def test_the_same_seed_gives_the_same_bytes(root, tmp_path):
    drive = plan(OPTIONS)[1]
    _write_drive(tmp_path, drive, OPTIONS, lambda: None)
    written = [p for p in tmp_path.rglob('*.png')]
    assert len(written) == 4
    for path in written:
        assert path.read_bytes() == (
            root / path.relative_to(tmp_path)).read_bytes()


def test_bad_options_are_named(tmp_path, capsys):
    out = tmp_path / 'x'
    with pytest.raises(ValueError, match='sweeps must be odd, got 4'):
        write_synthetic_kitti(out, sweeps=4)
    with pytest.raises(ValueError, match='beams must be 0 or at least 2'):
        write_synthetic_kitti(out, beams=1)
    assert main(['synthesize', 'kitti', str(out), '--test-drives', '0']) == 2
    assert 'test_drives must lie in 1..4999, got 0' in capsys.readouterr().err
    assert not out.exists()


def test_the_command_line_writes_a_set(tmp_path, root, capsys):
    command = [str(root), '--seed', '3', '--train-drives', '1',
               '--test-drives', '1', '--frames', '2', '--stride', '2',
               '--image-size', '320x96']
    assert main(['synthesize', 'kitti', *command]) == 0  # complete already
    assert f'synthetic KITTI ready in {root}' in capsys.readouterr().out
    assert main(['synthesize', 'kitti', *command, '--sweeps', '3']) == 2
    assert 'other options (sweeps)' in capsys.readouterr().err
