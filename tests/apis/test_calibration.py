import numpy as np
import pytest

from ddp_perception.apis import Calibration, UserError


def pose(forward, left, up, turn=0.):
    """A pose on a vehicle with x forward, y left, z up, turned to the left."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, -sin, 0, forward], [sin, cos, 0, left], [0, 0, 1, up],
                     [0, 0, 0, 1.]])


LOOKING_FORWARD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.]])
"""From a camera's x right, y down, z forward to x forward, y left, z up."""
LIDAR = pose(1, 0, 1.8) @ np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0],
                                    [0, 0, 0, 1.]])  # x right, as that of nuScenes
RECORD = {
    'cameras': {'front': {'intrinsics': [[100, 0, 50], [0, 100, 30], [0, 0, 1]],
                          'sensor2ego': pose(1.5, 0, 1.5) @ LOOKING_FORWARD}},
    'lidar': {'sensor2ego': LIDAR}}


def pixel(calibration, point):
    """Where a point of the model's frame is in the image."""
    seen = calibration.lidar2cam['front'] @ [*point, 1]
    u, v, depth = calibration.cam2img['front'] @ seen[:3]
    return u / depth, v / depth


@pytest.mark.parametrize('vehicle_frame', [False, True])
def test_a_point_ahead_is_seen_where_it_is(vehicle_frame):
    calibration = Calibration.of(RECORD, vehicle_frame)
    # A mark on the road, 11.5 m ahead of the vehicle's origin and 2 m to the right:
    # 10 m before the camera, 1.5 m below it.
    point = (2, 11.5, 0) if vehicle_frame else (2, 10.5, -1.8)
    np.testing.assert_allclose(pixel(calibration, point), (50 + 20, 30 + 15))
    if vehicle_frame:  # the LiDAR is 1 m ahead and 1.8 m up of it
        np.testing.assert_allclose(calibration.lidar2sensor @ [*point, 1],
                                   [2, 10.5, -1.8, 1], atol=1e-9)
    else:
        assert calibration.lidar2sensor is None


def test_a_camera_that_was_elsewhere_sees_what_was_before_it_then():
    record = {'ego2global': pose(100, 50, 0, 0.5), **RECORD, 'cameras': {'front': {
        **RECORD['cameras']['front'],
        # The camera's picture is from when the vehicle was 4 m ahead.
        'ego2global': pose(100, 50, 0, 0.5) @ pose(4, 0, 0)}}}
    calibration = Calibration.of(record, vehicle_frame=True)
    np.testing.assert_allclose(pixel(calibration, (2, 15.5, 0)), (70, 45))
    del record['ego2global']
    with pytest.raises(UserError, match='must have the ego2global of the frame'):
        Calibration.of(record, vehicle_frame=True)


def test_the_real_frame_is_alike_in_both_forms(real_dir):
    import json
    file = real_dir / 'nuscenes_sample/info.json'
    info = json.loads(file.read_text())['data_list'][0]
    of_info = Calibration.of(info)
    vehicle = Calibration.of({
        'cameras': {name: {'intrinsics': view['cam2img'], 'sensor2ego': view['cam2ego']}
                    for name, view in info['images'].items()},
        'lidar': {'sensor2ego': info['lidar_points']['lidar2ego']}})
    for name, matrix in of_info.lidar2cam.items():
        # But for how far the vehicle drives between the two sensors' moments.
        np.testing.assert_allclose(vehicle.lidar2cam[name][:3, :3], matrix[:3, :3],
                                   atol=0.02)
        np.testing.assert_allclose(vehicle.lidar2cam[name][:3, 3], matrix[:3, 3],
                                   atol=0.6)


@pytest.mark.parametrize('make, message', [
    (lambda: Calibration({'a': np.eye(3)}, {'b': np.eye(4)}),
     'cam2img is of the cameras a, lidar2cam of b'),
    (lambda: Calibration({'a': np.eye(2)}, {'a': np.eye(4)}),
     r'cam2img of a must have the shape \(3, 3\) or \(4, 4\), got \(2, 2\)'),
    (lambda: Calibration({'a': np.eye(3)}, {'a': np.full((4, 4), np.inf)}),
     'lidar2cam of a is not finite'),
    (lambda: Calibration({'a': 'x'}, {'a': np.eye(4)}),
     "cam2img of a must be a matrix of numbers, got 'x'"),
    (lambda: Calibration(lidar2sensor=np.eye(3)),
     r'lidar2sensor must have the shape \(4, 4\), got \(3, 3\)'),
    (lambda: Calibration({'a': np.zeros((3, 3))}, {'a': np.eye(4)}),
     'cam2img of a must have focal lengths above 0 and the third row 0, 0, 1'),
    (lambda: Calibration({'a': np.eye(3)}, {'a': LIDAR.T}),
     'lidar2cam of a must be a rotation .*; it is transposed'),
    (lambda: Calibration({'a': np.eye(3)}, {'a': np.diag([2, 2, 2, 1.])}),
     r'lidar2cam of a must be a rotation .*, got \[\[2.0, 0.0'),
    (lambda: Calibration.of({'cameras': {}, 'lidar': {'sensor2ego': LIDAR * 2}}),
     'sensor2ego of the lidar must be a rotation'),
    (lambda: Calibration.of(7), 'must be a Calibration or a dictionary, got int'),
    (lambda: Calibration.of({'cameras': {}}), 'must have lidar.sensor2ego'),
    (lambda: Calibration.of({'cameras': {'a': {'intrinsics': np.eye(3)}},
                             'lidar': RECORD['lidar']}),
     'calibration of a must have sensor2ego, got intrinsics'),
])
def test_what_is_wrong_is_named(make, message):
    with pytest.raises(UserError, match=message):
        make()
