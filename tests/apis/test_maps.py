"""Maps from Python equal those of the command, whatever form a frame comes in."""
import json

import cv2
import numpy as np
import pytest
from mmdet3d.apis import init_model as init_detector
from mmengine.fileio import load
from PIL import Image

from ddp_perception.apis import (
    Calibration,
    Frame,
    MapPrediction,
    Sweep,
    UserError,
    init_model,
    predict_map,
    predict_maps,
)
from ddp_perception.datasets.transforms.images import CAMERAS
from tests.apis.conftest import MAP, OWN, PROJECTS
from tests.datasets.tiny_drivable import write_cities
from tests.detectors.reduced import settings
from tests.detectors.test_joint_training import on_synthetic


def arrays(root, info, prefix=''):
    """Images (BGR) by camera and points of an info record."""
    folder = {name: root / prefix.format(name) for name in (*CAMERAS, 'LIDAR_TOP')}
    images = {name: cv2.imread(str(folder[name] / view['img_path']))
              for name, view in info['images'].items()}
    points = np.fromfile(folder['LIDAR_TOP'] / info['lidar_points']['lidar_path'],
                         np.float32).reshape(-1, 5)
    return images, points


def saved(path):
    with np.load(path) as content:
        return content['probabilities']


def test_a_real_frame_as_arrays_equals_predict_with_the_info_file(
        real_dir, save_weights, predict, tmp_path):
    root, weights = real_dir / 'nuscenes_sample', save_weights(MAP)
    info = json.loads((root / 'info.json').read_text())['data_list'][0]
    model = init_model(MAP, weights, 'cpu')
    images, points = arrays(root, info)
    given = {name: image.copy() for name, image in images.items()}
    prediction = predict_map(model, given, points, info, name=info['token'])
    by_command = predict(MAP, weights, root / 'info.json')
    np.testing.assert_array_equal(prediction.probabilities.astype(np.float16),
                                  saved(by_command / f'{info["token"]}.npz'))
    assert len(np.unique(prediction.probabilities)) > 1000
    for name in images:  # nothing was changed in place
        np.testing.assert_array_equal(given[name], images[name])
    # In full precision: what the command has before it saves.
    of_files, = predict_maps(model, root / 'info.json')
    np.testing.assert_array_equal(prediction.probabilities, of_files.probabilities)
    np.testing.assert_array_equal(prediction.uncertainty, of_files.uncertainty)
    assert prediction.save(tmp_path / 'new/folder/frame') == (
        tmp_path / 'new/folder/frame.npz')
    np.testing.assert_array_equal(
        saved(tmp_path / 'new/folder/frame.npz'), saved(by_command / (
            f'{info["token"]}.npz')))
    # The pictures differ in the place alone, which the info file knows.
    picture = prediction.draw(tmp_path / 'drawn/frame.png')
    np.testing.assert_array_equal(
        picture, np.asarray(Image.open(tmp_path / 'drawn/frame.png').convert('RGB')))
    other = np.asarray(Image.open(by_command / f'{info["token"]}.png').convert('RGB'))
    assert picture.shape[1] == 1560 and picture.dtype == np.uint8
    assert (picture[:300] != other[:300]).mean() < 0.02  # cameras with their points


@pytest.fixture
def synthetic(synthetic_root, synthetic_infos):
    """Root, infos of training (which have sweeps) and its file."""
    return synthetic_root, load(synthetic_infos['train'])['data_list'], (
        synthetic_infos['train'])


def test_sweeps_batches_and_other_forms_of_a_frame_change_nothing(
        synthetic, save_weights):
    root, infos, file = synthetic
    model = init_model(MAP, save_weights(MAP), 'cpu')
    by_file = dict(frames=file, data_root=root)
    expected = [one.probabilities for one in predict_maps(model, **by_file)]
    together = list(predict_maps(model, **by_file, batch_size=3, limit=3))
    assert any(info.get('lidar_sweeps') for info in infos)
    frames = []
    for number, info in enumerate(infos):
        images, points = arrays(root, info, 'samples/{}')
        frames.append(Frame(
            # In the order of the model's cameras, and as others have them.
            [images[name][..., ::-1] for name in CAMERAS], points, info['images'],
            sweeps=[Sweep(
                np.fromfile(root
                            / sweep['lidar_points']['lidar_path'],
                            np.float32).reshape(-1, 5),
                sweep['lidar_points']['lidar2sensor'],
                info['timestamp'] - sweep['timestamp'])
                for sweep in info.get('lidar_sweeps', [])],
            name=f'number {number}', channel_order='rgb'))
    predicted = predict_maps(model, iter(frames))
    for one, values in zip(predicted, expected, strict=True):
        np.testing.assert_allclose(one.probabilities, values, atol=1e-6)
    assert one.name == f'number {len(infos) - 1}'
    without = predict_map(model, frames[-1].images, frames[-1].points,
                          frames[-1].calibration, channel_order='rgb')
    assert np.abs(without.probabilities - values).max() > 1e-3  # the sweeps count
    assert len(together) == 3
    for one, values in zip(together, expected, strict=False):
        np.testing.assert_allclose(one.probabilities, values, atol=1e-5)


def test_files_may_take_the_place_of_arrays(synthetic, save_weights):
    root, (info, *_), _ = synthetic
    model = init_model(MAP, save_weights(MAP), 'cpu')
    images, points = arrays(root, info, 'samples/{}')
    paths = {name: root / f'samples/{name}' / view['img_path']
             for name, view in info['images'].items()}
    cloud = root / 'samples/LIDAR_TOP' / info['lidar_points']['lidar_path']
    one = predict_map(model, images, points, info)
    other = predict_map(model, paths, str(cloud), Calibration.of(info))
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.draw(), other.draw())
    assert one.classes[0] == 'drivable_area' and one.xbound == (-50, 50, 0.5)
    np.testing.assert_array_equal(one.labels, one.probabilities >= 0.5)


def test_a_rig_of_ones_own_needs_no_list_of_frames(
        custom_root, save_weights, predict):
    weights = save_weights(OWN)
    by_command = predict(OWN, weights, custom_root, '--limit', 1)
    model = init_model(OWN, weights, 'cpu')
    frame = json.loads((custom_root / 'val.json').read_text())['frames'][0]
    images = {name: cv2.imread(str(custom_root / camera['image']))
              for name, camera in frame['cameras'].items()}
    points = np.fromfile(custom_root / frame['lidar']['points'],
                         np.float32).reshape(-1, 4)
    prediction = predict_map(model, images, points, frame)
    np.testing.assert_array_equal(prediction.probabilities.astype(np.float16),
                                  saved(by_command / f'{frame["id"]}.npz'))
    assert prediction.classes == ('road', 'walkway')
    of_files, = predict_maps(model, custom_root / 'val.json', limit=1)
    np.testing.assert_array_equal(*(  # in the same colours, though no file names them
        one.field.paint(one.sample, one.setting) for one in (prediction, of_files)))
    assert prediction.draw().shape[1] == 1560


def test_a_detector_of_mmdet3d_takes_points_in_memory(
        synthetic_root, synthetic_infos, tmp_path):
    cfg = on_synthetic(settings('pointpillars-secfpn'), synthetic_root,
                       synthetic_infos, tmp_path / 'work')
    cfg.dump(tmp_path / 'joint.py')
    model = init_detector(str(tmp_path / 'joint.py'), device='cpu')  # theirs
    model.eval()
    info = load(synthetic_infos['val'])['data_list'][0]
    of_files = next(predict_maps(model, synthetic_infos['val'],
                                 data_root=synthetic_root))
    _, points = arrays(synthetic_root, info, 'samples/{}')
    prediction = predict_map(model, points=points)
    assert isinstance(prediction, MapPrediction)
    np.testing.assert_array_equal(prediction.probabilities, of_files.probabilities)
    assert len(prediction.sample.pred_instances_3d) == len(
        of_files.sample.pred_instances_3d)
    with pytest.raises(UserError, match='sweeps are read by ddp.LoadSweeps alone'):
        predict_map(model, points=points, sweeps=[Sweep(points, np.eye(4), 0.1)])


def test_a_prior_map_takes_the_place_of_sensors(save_weights, tmp_path):
    config = PROJECTS / 'map_prior/configs/ddp_3step_osm-drivable_cpu.py'
    write_cities(tmp_path / 'cities', **{'singapore-queenstown': 2})
    model = init_model(config, save_weights(config), 'cpu')
    first, second = predict_maps(model, tmp_path / 'cities/singapore-queenstown.npz')
    with np.load(tmp_path / 'cities/singapore-queenstown.npz') as city:
        prior = np.unpackbits(city['roads'][1]).reshape(3, 200, 200)
    np.testing.assert_array_equal(predict_map(model, prior=prior).probabilities,
                                  second.probabilities)
    assert first.name == 'singapore-queenstown0'
    with pytest.raises(UserError, match=r'must be \(P, X, Y\) of 0 and 1, got'):
        predict_map(model, prior=prior * 7)
    with pytest.raises(UserError, match='prior is missing'):
        predict_map(model)
    assert second.samples is None
    config = PROJECTS / 'map_prior/configs/ddp_samples_osm-drivable_cpu.py'
    sampling = init_model(config, save_weights(config), 'cpu')
    third = predict_map(sampling, prior=prior)
    assert third.samples.shape == (4, 1, 200, 200)
    np.testing.assert_allclose(third.samples.mean(0), third.probabilities, atol=1e-6)


@pytest.mark.parametrize('change, message', [
    (dict(images=None), 'images are missing; the model reads CAM_FRONT, CAM'),
    (dict(images=[1, 2]), 'images must be 6, in the order CAM_FRONT'),
    (dict(images={'front': np.zeros((9, 9, 3), np.uint8)}),
     'images must have the camera CAM_FRONT, which the model reads, got front'),
    (dict(images=dict.fromkeys(CAMERAS, np.zeros((9, 9), np.uint8))),
     r'image CAM_FRONT must be a file or an array \(H, W, 3\) uint8, got \(9, 9\)'),
    (dict(images=dict.fromkeys(CAMERAS, 'nowhere.jpg')), 'nowhere.jpg is missing'),
    (dict(points=None), 'points are missing, which the model reads'),
    (dict(points=np.zeros((7, 4))), r'points must be \(n, 5\) numbers.*\(7, 4\)'),
    (dict(points=np.full((7, 5), np.nan)), '7 of 7 points hold NaN'),
    (dict(calibration=None), 'calibration must have the camera CAM_FRONT'),
    (dict(calibration={'CAM_FRONT': {}}), 'calibration of CAM_FRONT must have cam2img'),
    (dict(sweeps=[(np.zeros((7, 5)), np.eye(4), 0.1)]),
     'sweeps must be of ddp_perception.apis.Sweep, got one of tuple'),
    (dict(sweeps=[Sweep(np.zeros((7, 5)), np.eye(3), 0.1)]),
     r'lidar2sensor of a sweep must have the shape \(4, 4\), got \(3, 3\)'),
    (dict(channel_order='gbr'), "channel_order must be 'bgr' or 'rgb', got 'gbr'"),
])
def test_what_a_frame_lacks_is_named(synthetic, change, message):
    root, (info, *_), _ = synthetic
    images, points = arrays(root, info, 'samples/{}')
    model = init_model(MAP, device='cpu')
    frame = {'images': images, 'points': points, 'calibration': info, **change}
    with pytest.raises(UserError, match=f'^frame seven: .*{message}'):
        predict_map(model, **frame, name='seven')


def test_a_frame_without_a_name_is_named_plainly(synthetic):
    root, (info, *_), _ = synthetic
    images, points = arrays(root, info, 'samples/{}')
    model = init_model(MAP, device='cpu')
    with pytest.raises(UserError, match='^the frame: CAM_FRONT: image file now'):
        predict_map(model, {**images, 'CAM_FRONT': 'nowhere.jpg'}, points, info)


def test_images_of_another_size_than_their_matrices_are_warned_of(
        synthetic, recwarn):
    root, (info, *_), _ = synthetic
    images, points = arrays(root, info, 'samples/{}')
    model = init_model(MAP, device='cpu')
    predict_map(model, images, points, info)
    assert not [one for one in recwarn if 'principal point' in str(one.message)]
    images['CAM_BACK'] = images['CAM_BACK'][::2, ::2]
    with pytest.warns(UserWarning, match='image CAM_BACK is .* another size'):
        predict_map(model, images, points, info)


def test_what_is_no_frame_is_named(synthetic):
    model = init_model(MAP, device='cpu')
    with pytest.raises(UserError, match='apis.Frame, got one of dict'):
        next(predict_maps(model, [dict(images=None)]))
    with pytest.raises(UserError, match='got one of Frame; predict_map takes one'):
        predict_maps(model, Frame())


def test_frames_before_one_that_fails_are_predicted_in_batches_too(synthetic):
    root, (info, *_), _ = synthetic
    images, points = arrays(root, info, 'samples/{}')
    model = init_model(MAP, device='cpu')
    frames = [Frame(images, points, info, name='good'), Frame(name='bad')]
    predictions = predict_maps(model, frames, batch_size=2)
    assert next(predictions).name == 'good'
    with pytest.raises(UserError, match='frame bad: images are missing'):
        next(predictions)
    with pytest.raises(UserError, match='batch_size must be a whole number.*got 2.5'):
        predict_maps(model, frames, batch_size=2.5)


def test_points_of_a_rig_say_where_they_are(custom_root):
    frame = json.loads((custom_root / 'val.json').read_text())['frames'][0]
    images = {name: custom_root / camera['image']
              for name, camera in frame['cameras'].items()}
    model = init_model(OWN, device='cpu')
    with pytest.raises(UserError, match='calibration must have lidar.sensor2ego'):
        predict_map(model, images, custom_root / frame['lidar']['points'],
                    dict(cameras=frame['cameras']))


def test_frames_are_read_as_they_are_needed(synthetic):
    root, (info, *_), _ = synthetic
    images, points = arrays(root, info, 'samples/{}')
    model, taken = init_model(MAP, device='cpu'), []

    def drive():
        for number in range(4):
            taken.append(number)
            yield Frame(images, points if number < 2 else None, info, name=str(number))

    predictions = predict_maps(model, drive())
    assert not taken and next(predictions).name == '0' and taken == [0]
    assert next(predictions).name == '1'
    with pytest.raises(UserError, match='frame 2: points are missing'):
        next(predictions)
    with pytest.raises(UserError, match='batch_size must be a whole number.*got 0'):
        predict_maps(model, drive(), batch_size=0)
    with pytest.raises(UserError, match='limit must be at least 1, got 0'):
        predict_maps(model, drive(), limit=0)
