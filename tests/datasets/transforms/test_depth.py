"""Loading, cropping and augmenting images with depth."""
import cv2
import numpy as np
import pytest

from ddp_perception.datasets.transforms import (
    DepthColorAug,
    DepthRandomCrop,
    DepthRandomRotate,
    KBCrop,
    LoadKITTIDepth,
)
from ddp_perception.registry import TRANSFORMS
from tests import golden

from ..tiny_kitti import ramp, write_png


def frame(height=44, width=60):
    image, depth = ramp(height, width)
    return {'img': image, 'gt_depth_map': depth, 'img_path': 'x/7.png',
            'img_shape': (height, width), 'ori_shape': (height, width),
            'seg_fields': ['gt_depth_map']}


def check_aligned(results, tolerance=0):
    """Each measured pixel's depth is that of the place its colours name."""
    image, depth = results['img'].astype(int), results['gt_depth_map']
    assert image.shape[:2] == depth.shape
    measured = depth > 0
    assert measured.mean() > .3
    expected = 1 + image[..., 0] / 2 / 4 + image[..., 1] / 2 / 64
    assert abs(depth - expected)[measured].max() <= tolerance
    # Unmeasured pixels stay so: no value arises between 0 and a depth.
    assert depth[measured].min() >= 1


def load(path, **options):
    return LoadKITTIDepth(**options)({'depth_map_path': str(path)})


def test_loading_gives_metres_and_keeps_zero(tmp_path):
    stored = np.array([[0, 256, 65535], [1, 128, 2560]], np.uint16)
    write_png(tmp_path / 'd.png', stored)
    results = load(tmp_path / 'd.png')
    depth = results['gt_depth_map']
    assert depth.dtype == np.float32 and results['seg_fields'] == [
        'gt_depth_map']
    np.testing.assert_array_equal(
        depth, np.float32([[0, 1, 65535 / 256], [1 / 256, .5, 10]]))
    assert results['depth_rescale_factor'] == 1 / 256
    assert load(tmp_path / 'd.png', scale=1000.)['gt_depth_map'][1, 2] == (
        np.float32(2.56))


def test_ours_equals_mmsegs_loader_on_good_files(tmp_path):
    write_png(tmp_path / 'd.png', np.arange(12, dtype=np.uint16)
              .reshape(3, 4) * 999)
    theirs = TRANSFORMS.build(dict(type='mmseg.LoadDepthAnnotation',
                                   depth_rescale_factor=1 / 256))(
        {'depth_map_path': str(tmp_path / 'd.png'), 'seg_fields': []})
    np.testing.assert_array_equal(load(tmp_path / 'd.png')['gt_depth_map'],
                                  theirs['gt_depth_map'])


@pytest.mark.parametrize('array, message', [
    (np.full((4, 5), 9, np.uint8), 'uint8 with 1 channel'),
    (np.full((4, 5, 3), 9, np.uint8), 'uint8 with 3 channels'),
    (np.full((4, 5, 3), 900, np.uint16), 'uint16 with 3 channels'),
])
def test_wrong_types_are_named(tmp_path, array, message):
    write_png(tmp_path / 'wrong.png', array)
    with pytest.raises(ValueError, match=f'wrong.png.*16-bit.*{message}'):
        load(tmp_path / 'wrong.png')


def test_floating_point_and_broken_files_are_named(tmp_path):
    assert cv2.imwrite(str(tmp_path / 'd.tiff'), np.ones((4, 5), np.float32))
    with pytest.raises(ValueError, match='d.tiff.*float32'):
        load(tmp_path / 'd.tiff')
    for content in (b'', b'no picture'):
        (tmp_path / 'broken.png').write_bytes(content)
        with pytest.raises(ValueError, match='broken.png cannot be decoded'):
            load(tmp_path / 'broken.png')
    with pytest.raises(FileNotFoundError, match='none.png'):
        load(tmp_path / 'none.png')


def test_a_depth_map_must_have_the_size_of_its_image(tmp_path):
    write_png(tmp_path / 'd.png', np.ones((4, 5), np.uint16))
    with pytest.raises(ValueError, match=r'd.png is 4 x 5.*i.png is 4 x 6'):
        LoadKITTIDepth()({'depth_map_path': str(tmp_path / 'd.png'),
                          'img': np.zeros((4, 6, 3)), 'img_path': 'i.png'})


def test_frames_without_depth_pass_only_on_request():
    results = {'img_path': 'a.png', 'seg_fields': []}
    with pytest.raises(KeyError, match='a.png has no depth_map_path'):
        LoadKITTIDepth()(dict(results))
    assert LoadKITTIDepth(optional=True)(dict(results)) == results


@pytest.mark.parametrize('height, width, corner', [
    (375, 1242, (23, 13)), (370, 1226, (18, 5)), (376, 1241, (24, 12)),
    (352, 1216, (0, 0))])
def test_kb_crop_takes_the_published_part(height, width, corner):
    results = KBCrop()(frame(height, width))
    assert results['img'].shape == (352, 1216, 3)
    assert results['gt_depth_map'].shape == (352, 1216)
    assert results['kb_crop'] == (*corner, 352, 1216)
    published = golden.load('depth_metrics')
    assert published[f'out/kb_crop_{height}x{width}_top_left_h_w'].tolist() == (
        list(results['kb_crop']))
    top, left = corner
    full, depth = ramp(height, width)
    np.testing.assert_array_equal(
        results['img'], full[top:top + 352, left:left + 1216])
    np.testing.assert_array_equal(
        results['gt_depth_map'], depth[top:top + 352, left:left + 1216])
    # mmseg resizes predictions to ori_shape: it must be the crop's.
    assert results['ori_shape'] == results['img_shape'] == (352, 1216)


def test_kb_crop_works_on_either_alone_and_refuses_the_rest():
    whole = frame()
    alone = KBCrop(40, 56)({'gt_depth_map': whole['gt_depth_map'],
                            'seg_fields': ['gt_depth_map']})
    np.testing.assert_array_equal(alone['gt_depth_map'],
                                  whole['gt_depth_map'][4:, 2:58])
    assert KBCrop(40, 56)({'img': whole['img']})['img'].shape == (40, 56, 3)
    with pytest.raises(ValueError, match='x/7.png is 44 x 60.*352 x 1216'):
        KBCrop()(frame())
    with pytest.raises(ValueError, match='after the steps'):
        KBCrop()({'seg_fields': ['gt_depth_map']})
    with pytest.raises(ValueError, match='differ in size'):
        KBCrop(40, 56)(whole | {'img': whole['img'][1:]})
    with pytest.raises(ValueError, match='positive whole'):
        KBCrop(0, 56)


def test_random_crop_keeps_image_and_depth_aligned():
    crop = DepthRandomCrop((20, 31))
    corners = set()
    for seed in range(20):
        np.random.seed(seed)
        results = crop(frame())
        assert results['img'].shape == (20, 31, 3)
        assert results['img_shape'] == (20, 31)
        check_aligned(results)
        corners.add(tuple(results['img'][0, 0]))
    assert len(corners) > 10


def test_random_crop_refuses_smaller_images():
    for size in ((45, 60), (44, 61)):
        with pytest.raises(ValueError, match=r'x/7.png is 44 x 60.*'
                           f'{size[0]} x {size[1]}'):
            DepthRandomCrop(size)(frame())
    assert DepthRandomCrop([44, 60])(frame())['img'].shape[:2] == (44, 60)


def test_flip_of_mmseg_keeps_image_and_depth_aligned():
    flip = TRANSFORMS.build(dict(type='mmseg.RandomFlip', prob=1.))
    results = flip(frame())
    check_aligned(results)
    np.testing.assert_array_equal(results['gt_depth_map'],
                                  frame()['gt_depth_map'][:, ::-1])


def test_rotation_keeps_image_and_depth_aligned():
    turned = 0
    for seed in range(12):
        np.random.seed(seed)
        results = DepthRandomRotate()(frame(100, 120))
        assert results['img_shape'] == results['gt_depth_map'].shape
        # Away from what came in from outside; nearest and bilinear differ
        # by half a pixel: 1/8 m per row and 1/128 m per column, and the
        # image is rounded to whole values.
        inner = {'img': results['img'][8:-8, 8:-8],
                 'gt_depth_map': results['gt_depth_map'][8:-8, 8:-8]}
        check_aligned(inner, tolerance=.25)
        before = frame(100, 120)['gt_depth_map']
        assert set(np.unique(results['gt_depth_map'])) <= set(
            np.unique(before))  # no depth was interpolated
        turned += not np.array_equal(results['gt_depth_map'], before)
    assert 3 <= turned <= 9  # p = 0.5


def test_rotation_by_a_known_angle_and_its_border():
    rotate = DepthRandomRotate(degree=(90, 90), prob=1.)
    image, depth = ramp(9, 9)
    depth[depth == 0] = 50
    results = rotate({'img': image, 'gt_depth_map': depth,
                      'seg_fields': ['gt_depth_map']})
    # OpenMMLab turns clockwise for positive angles.
    np.testing.assert_array_equal(results['gt_depth_map'],
                                  np.rot90(depth, -1))
    results = DepthRandomRotate(degree=(45, 45), prob=1.)(
        {'img': image + 1, 'gt_depth_map': depth,
         'seg_fields': ['gt_depth_map']})
    assert results['gt_depth_map'][0, 0] == 0
    assert (results['img'][0, 0] == 0).all()


class Fixed(DepthColorAug):
    """Factors as given."""

    def draw(self, channels):
        return .5, np.array([1., .5, 2.])


def test_colour_by_hand():
    image = np.array([[[64, 64, 64], [255, 255, 0]]], np.uint8)
    # 255 sqrt(64 / 255) = 127.75
    expected = [[[127.75, 63.87, 255], [255, 127.5, 0]]]
    changed = Fixed()({'img': image.astype(np.float32)})['img']
    assert changed.dtype == np.float32
    np.testing.assert_allclose(changed, expected, atol=.01)
    changed = Fixed()({'img': image})['img']
    assert changed.dtype == np.uint8
    np.testing.assert_allclose(changed, expected, atol=.51)


def test_colour_changes_half_of_the_images_and_never_depth():
    augment = DepthColorAug()
    changed = 0
    for seed in range(60):
        np.random.seed(seed)
        before = frame()
        image = before['img'].copy()
        results = augment(before)
        np.testing.assert_array_equal(results['gt_depth_map'],
                                      frame()['gt_depth_map'])
        if not np.array_equal(results['img'], image):
            changed += 1
            # At most 1.1 x 1.1 apart from gamma, which moves 90 by
            # 90 (90 / 255)^(+-0.1), a factor of 1.11.
            ratio = results['img'][..., 2] / 90
            assert 1 / 1.37 < ratio.min() and ratio.max() < 1.37
            assert ratio.std() < 1e-6
    assert 20 < changed < 40


def test_colour_factors_stay_in_their_ranges():
    np.random.seed(0)
    augment = DepthColorAug(prob=1.)
    drawn = [augment.draw(3) for _ in range(300)]
    gammas = np.array([gamma for gamma, _ in drawn])
    factors = np.array([factor for _, factor in drawn])
    assert .9 <= gammas.min() < .91 and 1.09 < gammas.max() <= 1.1
    assert .81 <= factors.min() and factors.max() <= 1.21
    assert factors.std(axis=1).mean() > .02  # channels differ


@pytest.mark.parametrize('options, message', [
    (dict(prob=1.2), 'prob'), (dict(gamma_range=(1.1, .9)), 'gamma_range'),
    (dict(color_range=(0, 1)), 'color_range')])
def test_colour_rejects_bad_ranges(options, message):
    with pytest.raises(ValueError, match=message):
        DepthColorAug(**options)
