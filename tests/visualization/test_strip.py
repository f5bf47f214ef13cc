import numpy as np
import pytest
from PIL import Image

from ddp_perception.visualization.panels import Panels, Swatch
from ddp_perception.visualization.strip import LETTERS, save_animation, save_strip

COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def pictures(height, width):
    return [np.full((height, width, 3), colour, np.uint8) for colour in COLOURS]


@pytest.mark.parametrize(('size', 'columns'), [((40, 40), 3), ((20, 90), 2)])
def test_strip_shows_the_steps_in_order(monkeypatch, tmp_path, size, columns):
    figures = []
    monkeypatch.setattr(Panels, 'save',
                        lambda self, path: figures.append(self.figure) or path)
    save_strip(tmp_path / 'a.png', pictures(*size), ['one', 'two', 'three'],
               [Swatch('blue', COLOURS[2])])
    axes = [axes for axes in figures[0].axes if not axes.get_legend()]
    legend, = (axes.get_legend() for axes in figures[0].axes if axes.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == ['blue']
    assert [axis.get_title() for axis in axes] == ['one', 'two', 'three']
    for axis, colour in zip(axes, COLOURS, strict=True):
        assert (axis.get_images()[0].get_array() == colour).all()
    lefts = [axis.get_position().x0 for axis in axes]
    assert len({round(left, 3) for left in lefts}) == columns
    assert lefts[1] > lefts[0]


def test_animation_shows_each_picture_and_rests_on_the_last(tmp_path):
    path = save_animation(tmp_path / 'new' / 'a.gif', pictures(300, 1280),
                          ['step 1', 'step 2', 'a very long caption ' * 20], 0.5)
    with Image.open(path) as animation:
        assert animation.n_frames == 3 and animation.size == (640, 150 + 2 * LETTERS)
        assert animation.info['loop'] == 0
        times = []
        for index, colour in enumerate(COLOURS):
            animation.seek(index)
            times.append(animation.info['duration'])
            frame = np.asarray(animation.convert('RGB'))
            assert np.abs(frame[:150].astype(int) - colour).max() < 8
            assert (frame[150:] == 255).any() and (frame[150:] < 128).any()
    assert times == [500, 500, 1000]
