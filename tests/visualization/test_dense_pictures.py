import numpy as np
import pytest
from PIL import Image

from ddp_perception.visualization import (
    Uncertainty,
    overlay_labels,
    save_depth,
    save_segmentation,
)
from ddp_perception.visualization.dense import WRONG, enlarge_dots, hatching
from ddp_perception.visualization.panels import Panels

CLASSES = ('road', 'sky', 'car')
PALETTE = [[128, 64, 128], [70, 130, 180], [0, 0, 142]]
IMAGE = np.full((20, 45, 3), (200, 100, 50), np.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """Figures instead of files."""
    figures = []
    monkeypatch.setattr(Panels, 'save',
                        lambda self, path: figures.append(self.figure) or path)
    return figures


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def panel(figure, title):
    return next(axes for axes in figure.axes
                if axes.get_title() == title).get_images()[0]


def legend(figure):
    return [text.get_text() for axes in figure.axes if axes.get_legend()
            for text in axes.get_legend().get_texts()]


def bars(figure):
    return {axes.get_ylabel(): axes.get_ylim() for axes in figure.axes
            if axes.get_ylabel()}


def test_overlay_mixes_colour_and_image_and_hatches_what_is_ignored():
    labels = np.full((20, 45), 255)
    labels[3, 5], labels[4, 6] = 2, 0
    picture = overlay_labels(IMAGE, labels, PALETTE, opacity=0.25)
    # 3/4 (200, 100, 50) + 1/4 (0, 0, 142); the same with (128, 64, 128)
    assert tuple(picture[3, 5]) == (150, 75, 73)
    assert tuple(picture[4, 6]) == (182, 91, 70)
    assert {tuple(pixel) for pixel in picture[0]} == {(0, 0, 0), (255, 255, 255)}


def test_ignored_pixels_look_like_no_class():
    # A building of Cityscapes: all shades of grey in one colour.
    dark = np.full((64, 128, 3), 40, np.uint8)
    building, ignored = (overlay_labels(dark, np.full((64, 128), label), [[70] * 3])
                         .astype(float) for label in (0, 255))
    assert np.abs(ignored - building).mean() > 100
    for size in ((64, 128), (1024, 2048)):  # stripes, none of them too fine to be seen
        stripes = hatching(size)[..., 0]
        assert 0.15 < (stripes == 0).mean() < 0.45
        assert 60 < (np.diff(stripes[0].astype(int)) < 0).sum() < 100 or size[1] == 128
        np.testing.assert_array_equal(stripes[1:, :-1], stripes[:-1, 1:])


@pytest.mark.parametrize('label', [3, -1, 254])
def test_overlay_names_a_label_without_a_colour(label):
    with pytest.raises(ValueError, match=f'below 3.*or 255, got {label}$'):
        overlay_labels(IMAGE, np.full((20, 45), label), PALETTE)


def test_segmentation_shows_what_is_given_and_names_what_occurs(drawn, tmp_path):
    prediction = np.zeros((20, 45), np.uint8)
    truth = prediction + 2
    truth[:5] = 255
    save_segmentation(tmp_path / 'a.png', IMAGE, prediction, CLASSES, PALETTE)
    save_segmentation(tmp_path / 'a.png', IMAGE, prediction, CLASSES, PALETTE,
                      truth, Uncertainty(np.full((1, 20, 45), 0.25), 'entropy'))
    bare, full = drawn
    assert titles(bare) == ['image', 'prediction'] and legend(bare) == ['road']
    assert bars(bare) == {}
    assert titles(full) == ['image, errors in red', 'prediction', 'truth',
                            'uncertainty']
    assert legend(full) == ['road', 'car', 'ignored', 'error']
    assert bars(full) == {'entropy': (0, 0.25)}
    marked = panel(full, 'image, errors in red').get_array()
    assert (marked[5:] == WRONG).all()  # all is road, the truth is car
    assert (marked[:5, :, 0] == marked[:5, :, 1]).all()  # ignored: the image, grey
    np.testing.assert_array_equal(panel(full, 'truth').get_array()[:5, :],
                                  hatching((20, 45))[:5])
    assert legend(bare) and 'sky' not in legend(full)


def test_segmentation_file_shows_the_overlay(tmp_path):
    labels = np.ones((20, 45), int)
    path = save_segmentation(tmp_path / 'new' / 'a.png', IMAGE, labels, CLASSES,
                             PALETTE)
    assert [file.name for file in path.parent.iterdir()] == ['a.png']
    picture = np.asarray(Image.open(path).convert('RGB'))
    row = picture[int(0.4 * len(picture))]
    assert tuple(row[len(row) // 4]) == (200, 100, 50)
    # 0.4 (200, 100, 50) + 0.6 (70, 130, 180)
    assert tuple(row[3 * len(row) // 4]) == (122, 118, 128)


def test_failed_drawing_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match='xyz'):
        save_depth(tmp_path / 'a.xyz', IMAGE, np.ones((20, 45)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('size', [(20, 60), (20, 30)])
def test_depth_panels_share_one_scale_and_near_is_bright(drawn, tmp_path, size):
    image = np.zeros((*size, 3), np.uint8)
    prediction = np.full(size, 70.)
    prediction[:, :9], prediction[:6] = 3, 0
    truth = np.zeros(size)
    truth[15, 10] = 30
    save_depth(tmp_path / 'a.png', image, prediction, truth,
               Uncertainty.of_kind(prediction * 0.1, 'spread', 'metres'))
    figure, = drawn
    assert titles(figure) == ['image', 'predicted depth', 'true depth', 'error',
                              'uncertainty']
    shown, true = panel(figure, 'predicted depth'), panel(figure, 'true depth')
    assert shown.norm is true.norm and shown.get_cmap() == true.get_cmap()
    assert bars(figure) == {'depth [m]': (0, 80), 'absolute error [m]': (0, 40),
                            'standard deviation [m]': (0, 7)}
    error = panel(figure, 'error').get_array()  # 70 m where 30 m were measured
    assert (~error.mask).sum() == 9 and (error.compressed() == 40).all()
    near, far = (np.dot(shown.to_rgba(np.array([depth]))[0, :3], (.3, .6, .1))
                 for depth in (3, 70))
    assert near > far + 0.3
    assert shown.get_array().mask[:6].all() and not shown.get_array().mask[6:].any()
    # one return covers 3 x 3 pixels; nothing else is known
    assert (~true.get_array().mask).sum() == 9
    assert true.get_array()[14, 11] == 30
    assert [text.split(':')[0] for text in legend(figure)] == ['no depth here']
    boxes = [axes.get_position() for axes in figure.axes if axes.get_title()]
    assert len({round(box.x0, 6) for box in boxes}) == (1 if size[1] == 60 else 2)


def test_legend_of_depth_has_the_colour_of_what_is_unknown(drawn, tmp_path):
    prediction = np.full((20, 45), 9.)
    save_depth(tmp_path / 'a.png', IMAGE, prediction)
    prediction[3, 4] = 0
    save_depth(tmp_path / 'a.png', IMAGE, prediction)
    full, partial = drawn
    assert legend(full) == []
    swatch, = (patch for axes in partial.axes if axes.get_legend()
               for patch in axes.get_legend().get_patches())
    shown = panel(partial, 'predicted depth')
    np.testing.assert_allclose(
        swatch.get_facecolor(), shown.to_rgba(shown.get_array())[3, 4], atol=0.005)


def test_no_error_does_not_look_like_no_depth(drawn, tmp_path):
    depth = np.full((20, 45), 9.)
    truth = depth + 1e-3
    truth[3, 4], truth[5:9] = 0, 12
    save_depth(tmp_path / 'a.png', IMAGE, depth, truth)
    image = panel(drawn[0], 'error')
    colours = image.to_rgba(image.get_array())[..., :3]
    assert np.abs(colours[3, 4] - colours[0, 0]).max() > 0.5


def test_colours_end_at_the_greatest_depth(drawn, tmp_path):
    save_depth(tmp_path / 'a.png', IMAGE, np.full((20, 45), 12.), max_depth=10)
    assert bars(drawn[0])['depth [m]'] == (0, 10)
    bar = next(axes for axes in drawn[0].axes if axes.get_ylabel())
    assert [label.get_text() for label in bar.get_yticklabels()] == [
        '0', '1', '2', '5', '10']


def test_dots_grow_near_over_far_and_dense_maps_stay():
    depth = np.zeros((6, 50))
    depth[2, 4], depth[2, 6] = 20, 5
    grown = enlarge_dots(depth)
    np.testing.assert_array_equal(grown[3, 2:9], [0, 20, 20, 5, 5, 5, 0])
    np.testing.assert_array_equal(grown[[0, 4, 5]], 0)
    dense = np.ones((6, 50))
    dense[0] = 0
    np.testing.assert_array_equal(enlarge_dots(dense), dense)


def test_pictures_say_which_array_does_not_fit(tmp_path):
    labels = np.zeros((20, 45), int)
    with pytest.raises(ValueError, match=r'truth must be \(20, 45\).*\(45, 20\)'):
        save_segmentation(tmp_path / 'a.png', IMAGE, labels, CLASSES, PALETTE,
                          labels.T)
    with pytest.raises(ValueError, match=r'uint8, got \(20, 45, 3\) float64'):
        save_depth(tmp_path / 'a.png', IMAGE / 255, labels)
    with pytest.raises(ValueError, match='max_depth must be positive, got 0'):
        save_depth(tmp_path / 'a.png', IMAGE, labels, max_depth=0)
