"""Loading LiDAR points and sweeps."""
import numpy as np
import pytest

from ddp_perception.datasets.transforms import LoadPoints, LoadSweeps

from ..tiny_nuscenes import matrix, vehicle_pose


def write(path, points):
    np.asarray(points, np.float32).tofile(path)
    return str(path)


def frame(path, **more):
    return {'lidar_points': {'lidar_path': str(path)}, 'timestamp': 10.,
            **more}


def test_points_are_those_of_the_file(tmp_path):
    points = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    path = write(tmp_path / 'a.bin', points)
    loaded = LoadPoints()(frame(path))['points']
    np.testing.assert_array_equal(loaded.tensor.numpy(), points)
    fewer = LoadPoints(use_dim=[0, 1, 2, 4])(frame(path))['points']
    np.testing.assert_array_equal(fewer.tensor.numpy(), points[:, [0, 1, 2, 4]]
                                  )


def test_empty_file_is_an_empty_cloud(tmp_path):
    path = write(tmp_path / 'a.bin', [])
    results = LoadSweeps(sweeps_num=0)(LoadPoints()(frame(path)))
    assert results['points'].tensor.shape == (0, 5)


def test_truncated_file_names_size_and_record(tmp_path):
    path = tmp_path / 'cut.bin'
    path.write_bytes(bytes(20 * 3 + 8))
    with pytest.raises(ValueError, match='cut.bin holds 68 bytes.*20'):
        LoadPoints()(frame(path))


def test_missing_file_and_nan_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.bin'):
        LoadPoints()(frame(tmp_path / 'gone.bin'))
    points = np.zeros((4, 5))
    points[1, 2], points[3, 0] = np.nan, np.inf
    path = write(tmp_path / 'nan.bin', points)
    with pytest.raises(ValueError, match='nan.bin: 2 of 4 points'):
        LoadPoints()(frame(path))


def test_use_dim_must_fit():
    with pytest.raises(ValueError, match='load_dim = 4'):
        LoadPoints(load_dim=4, use_dim=5)


def sweep_of(tmp_path, index, world):
    """Write `world` (n, 3) as seen at index tenths of a second before."""
    pose = matrix(vehicle_pose(1 - index / 10))
    points = np.hstack([world, np.ones((len(world), 1))])
    seen = (np.linalg.inv(pose) @ points.T)[:3].T
    path = write(tmp_path / f'{index}.bin',
                 np.hstack([seen, np.full((len(world), 2), index)]))
    now = matrix(vehicle_pose(1.))
    return {'timestamp': 10 - index / 10, 'lidar_points': {
        'lidar_path': path, 'lidar2sensor': np.linalg.inv(pose) @ now}}


def test_sweeps_come_to_lie_in_the_key_frame(tmp_path):
    # A static world seen from a turning vehicle falls together.
    world = np.random.default_rng(1).uniform((600, 800, 0), (660, 850, 3),
                                             (40, 3))
    sweeps = [sweep_of(tmp_path, index, world) for index in range(1, 6)]
    key = sweep_of(tmp_path, 0, world)
    results = frame(key['lidar_points']['lidar_path'], lidar_sweeps=sweeps)
    results = LoadPoints()(results)
    here = results['points'].tensor.numpy().copy()
    points = LoadSweeps(sweeps_num=3, remove_close=0., test_mode=True)(
        results)['points'].tensor.numpy()
    assert points.shape == (160, 5)
    for index in range(4):  # the latest three, in order
        part = points[40 * index:40 * index + 40]
        np.testing.assert_allclose(part[:, :3], here[:, :3], atol=2e-5)
        np.testing.assert_allclose(part[:, 4], index / 10, atol=1e-6)
        assert (part[:, 3] == index).all()


def test_random_sweeps_differ_and_obey_the_seed(tmp_path):
    world = np.random.default_rng(1).uniform((600, 800, 0), (660, 850, 3),
                                             (2, 3))
    sweeps = [sweep_of(tmp_path, index, world) for index in range(1, 7)]

    def ages(seed, count, **more):
        np.random.seed(seed)
        path = sweeps[0]['lidar_points']['lidar_path']
        results = LoadPoints()(frame(path, lidar_sweeps=sweeps, **more))
        points = LoadSweeps(count, remove_close=0.)(results)['points']
        return points.tensor[2::2, 3].tolist()

    assert ages(3, 3) == ages(3, 3)
    assert len(set(ages(3, 3))) == 3
    assert len({tuple(ages(seed, 3)) for seed in range(8)}) > 1
    # A data set in test mode always gets the latest ones.
    assert ages(3, 3, test_mode=True) == [1, 2, 3]
    assert sorted(ages(0, 9)) == [1, 2, 3, 4, 5, 6]  # fewer than asked for


def test_no_sweeps_repeats_the_key_frame_without_the_roof(tmp_path):
    path = write(tmp_path / 'a.bin', [[.5, .5, 0, 1, 9], [4, .5, 0, 1, 9],
                                      [.5, -3, 0, 1, 9]])
    for more in ({}, {'lidar_sweeps': []}):
        points = LoadSweeps(2)(LoadPoints()(frame(path, **more)))['points']
        assert points.tensor.shape == (3 + 2 * 2, 5)
        assert (points.tensor[:, 4] == 0).all()
    points = LoadSweeps(2, pad_empty_sweeps=False)(LoadPoints()(frame(path)))
    assert points['points'].tensor.shape == (3, 5)


def test_missing_or_truncated_sweep_is_named(tmp_path):
    path = write(tmp_path / 'a.bin', np.ones((2, 5)))
    sweep = {'timestamp': 9., 'lidar_points': {
        'lidar_path': str(tmp_path / 'gone.bin'), 'lidar2sensor': np.eye(4)}}
    with pytest.raises(FileNotFoundError, match='gone.bin'):
        LoadSweeps(1)(LoadPoints()(frame(path, lidar_sweeps=[sweep])))
    (tmp_path / 'gone.bin').write_bytes(bytes(7))
    with pytest.raises(ValueError, match='gone.bin holds 7 bytes'):
        LoadSweeps(1)(LoadPoints()(frame(path, lidar_sweeps=[sweep])))


def test_sweeps_need_room_for_their_age(tmp_path):
    path = write(tmp_path / 'a.bin', np.ones((2, 5)))
    with pytest.raises(ValueError, match='use_dim=5'):
        LoadSweeps(1)(LoadPoints(use_dim=4)(frame(path)))
    with pytest.raises(ValueError, match='got -1'):
        LoadSweeps(-1)
