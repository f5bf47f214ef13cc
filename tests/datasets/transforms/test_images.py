"""Loading and augmenting the views of a frame."""
import copy

import cv2
import numpy as np
import pytest
from PIL import Image

from ddp_perception.datasets.transforms import CAMERAS, ImageAug3D, LoadMultiViewImages
from ddp_perception.datasets.transforms.images import augment


@pytest.fixture
def sample(tmp_path):
    """Six small views, each of its own grey, with calibrations."""
    images = {}
    for index, name in enumerate(CAMERAS):
        path = tmp_path / f'{name}.png'
        cv2.imwrite(str(path), np.full((20, 30, 3), 10 * index, np.uint8))
        lidar2cam = np.eye(4)
        lidar2cam[:3, :3] = cv2.Rodrigues(np.array([.1, .2, index]))[0]
        lidar2cam[:3, 3] = index, 2, 3
        images[name] = {'img_path': str(path), 'lidar2cam': lidar2cam.tolist(),
                        'cam2img': [[20. + index, 0, 15], [0, 21, 10],
                                    [0, 0, 1]]}
    return {'token': 'frame', 'images': images}


def test_views_keep_their_order_and_calibration(sample):
    sample['images'] = dict(reversed(sample['images'].items()))
    results = LoadMultiViewImages()(sample)
    assert results['num_views'] == 6
    assert [int(image[0, 0, 0]) for image in results['img']] == [
        0, 10, 20, 30, 40, 50]
    assert results['cam2img'][:, 0, 0].tolist() == [20, 21, 22, 23, 24, 25]
    assert results['cam2img'].dtype == np.float32
    point = np.array([1., 2., 3., 1.])
    for index, name in enumerate(CAMERAS):
        view = results['images'][name]
        in_cam = (np.array(view['lidar2cam']) @ point)[:3]
        np.testing.assert_allclose((results['lidar2img'][index] @ point)[:3],
                                   np.array(view['cam2img']) @ in_cam,
                                   rtol=1e-5)
        np.testing.assert_allclose(
            results['cam2lidar'][index] @ results['lidar2cam'][index],
            np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(results['img_aug_matrix'],
                                  np.tile(np.eye(4), (6, 1, 1)))


def test_blue_is_the_first_channel_and_dtype_can_be_float(tmp_path, sample):
    path = sample['images']['CAM_FRONT']['img_path']
    cv2.imwrite(path, np.full((20, 30, 3), (200, 1, 2), np.uint8))
    image = LoadMultiViewImages(to_float32=True)(sample)['img'][0]
    assert image.dtype == np.float32
    assert image[3, 4].tolist() == [200, 1, 2]


def test_missing_camera_calibration_and_file_are_named(sample, tmp_path):
    def broken(change):
        changed = copy.deepcopy(sample)
        change(changed['images'])
        return changed

    load = LoadMultiViewImages()
    with pytest.raises(KeyError, match="frame lacks.*'CAM_BACK'"):
        load(broken(lambda images: images.pop('CAM_BACK')))
    with pytest.raises(KeyError, match='CAM_BACK: calibration "lidar2cam"'):
        load(broken(lambda images: images['CAM_BACK'].pop('lidar2cam')))
    with pytest.raises(ValueError, match=r'CAM_BACK: cam2img.*\(2, 2\)'):
        load(broken(lambda images: images['CAM_BACK'].update(
            cam2img=[[1, 0], [0, 1]])))
    with pytest.raises(ValueError, match='CAM_BACK: cam2img is not finite'):
        load(broken(lambda images: images['CAM_BACK'].update(
            cam2img=np.full((3, 3), np.nan))))
    with pytest.raises(FileNotFoundError, match='CAM_BACK: .*gone.png'):
        load(broken(lambda images: images['CAM_BACK'].update(
            img_path=str(tmp_path / 'gone.png'))))
    for content in (b'', b'no image'):
        (tmp_path / 'bad.png').write_bytes(content)
        with pytest.raises(ValueError, match='CAM_BACK: .*bad.png'):
            load(broken(lambda images: images['CAM_BACK'].update(
                img_path=str(tmp_path / 'bad.png'))))


def test_published_test_view_is_the_middle_of_each_range():
    image = np.random.default_rng(0).integers(
        0, 255, (900, 1600, 3), dtype=np.uint8)
    results = ImageAug3D((256, 704), (.48, .48))({'img': [image] * 2})
    assert results['img'][1].shape == (256, 704, 3)
    assert results['img'][0].dtype == np.uint8
    assert results['img_shape'] == (256, 704)
    # 768 x 432 after resizing: 32 columns off each side, 176 rows off the top.
    expected = np.array([[.48, 0, 0, -32], [0, .48, 0, -176], [0, 0, 1, 0],
                         [0, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(results['img_aug_matrix'], [expected] * 2)


def test_source_width_gives_pictures_of_any_size_the_same_view():
    step = ImageAug3D((64, 176), (.5, .5), source_width=352)
    corners = np.array([[0, 0, 0, 1], [176, 64, 0, 1.]]).T
    seen = []
    for height, width in ((198, 352), (900, 1600)):
        results = step({'img': [np.zeros((height, width, 3), np.uint8)]})
        assert results['img'][0].shape == (64, 176, 3)
        places = np.linalg.inv(results['img_aug_matrix'][0]) @ corners
        seen.append(places[:2] / [[width], [height]])
    # The same share of the picture, but for rounding to whole pixels.
    np.testing.assert_allclose(seen[0], seen[1], atol=1 / 99)
    with pytest.raises(ValueError, match='source_width.*0'):
        ImageAug3D((64, 176), (.5, .5), source_width=0)


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('angle', [0., 5.4, -5.4])
def test_matrix_tells_where_pixels_go(flip, angle):
    # A smooth picture whose colour is a function of the place.
    v, u = np.mgrid[:90, :160] + .5

    def colour(u, v):
        return 127 + 60 * np.sin(u / 17) + 60 * np.cos(v / 11)

    image = np.repeat(colour(u, v)[..., None], 3, 2).round().astype(np.uint8)
    picture, matrix = augment(image, (40, 64), (100, 56), (20, 9), flip, angle)
    assert picture.shape == (40, 64, 3)
    back = np.linalg.inv(matrix)
    v, u = np.mgrid[4:36, 4:60] + .5
    places = back @ np.stack([u.ravel(), v.ravel(), np.zeros(u.size),
                              np.ones(u.size)])
    seen = ((places[0] > 1) & (places[0] < 159) & (places[1] > 1)
            & (places[1] < 89))
    assert seen.mean() > .8
    found = picture[4:36, 4:60, 0].ravel()[seen]
    # The rotation takes the nearest pixel: up to one source pixel off.
    assert np.abs(found - colour(*places[:2, seen])).mean() < 3.5
    assert np.abs(found - colour(*places[:2, seen])).max() < 14


@pytest.mark.parametrize('corner', [(20, 9), (-7, -5), (60, 30), (200, 0)])
def test_crop_is_that_of_the_whole_resized_picture(corner):
    image = np.random.default_rng(0).integers(
        0, 255, (90, 160, 3), dtype=np.uint8)
    found, _ = augment(image, (40, 64), (101, 57), corner, False, 0.)
    whole = Image.fromarray(image).resize((101, 57))
    expected = np.asarray(whole.crop((*corner, corner[0] + 64, corner[1] + 40)
                                     ))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_training_draws_within_its_ranges_and_obeys_the_seed():
    image = np.zeros((90, 160, 3), np.uint8)
    step = ImageAug3D((40, 64), (.5, .8), (0., .2), (-5.4, 5.4), True, True)

    def draw(seed):
        np.random.seed(seed)
        return step({'img': [image] * 40})['img_aug_matrix']

    matrices = draw(1)
    np.testing.assert_array_equal(matrices, draw(1))
    assert not np.array_equal(matrices, draw(2))
    linear = matrices[:, :2, :2].astype(float)
    flipped = np.linalg.det(linear) < 0
    assert 8 < flipped.sum() < 32
    scale = np.sqrt(np.abs(np.linalg.det(linear)))
    assert .49 < scale.min() < .56 and .74 < scale.max() <= .8
    angle = np.degrees(np.arcsin(matrices[:, 0, 1] / scale))
    assert -5.6 < angle.min() < -3 and 3 < angle.max() < 5.6
    # The views are drawn apart.
    assert len(np.unique(scale.round(6))) > 20


def test_matrix_follows_an_earlier_augmentation():
    image = np.zeros((90, 160, 3), np.uint8)
    results = {'img': [image]}
    first = ImageAug3D((60, 120), (.9, .9))
    second = ImageAug3D((40, 64), (.6, .6))
    one = first(results)['img_aug_matrix'][0]
    both = second(results)['img_aug_matrix'][0]
    alone = second({'img': [np.zeros((60, 120, 3), np.uint8)]}
                   )['img_aug_matrix'][0]
    np.testing.assert_allclose(both, alone @ one, rtol=1e-6)


def test_bad_ranges_are_rejected():
    with pytest.raises(ValueError, match=r'resize_lim.*\(0.5, 0.4\)'):
        ImageAug3D((40, 64), (.5, .4))
    with pytest.raises(ValueError, match='bot_pct_lim'):
        ImageAug3D((40, 64), (.4, .5), (0., 1.))
    with pytest.raises(ValueError, match='final_dim'):
        ImageAug3D((0, 64), (.4, .5))
