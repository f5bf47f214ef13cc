import numpy as np
import pytest

from ddp_perception.visualization.confusion import draw_confusion


def _content(counts, cells, **more):
    return dict(classes=[f'class_{i}' for i in range(len(counts))], counts=counts,
                cells=cells, samples=2, overlapping=False, threshold=None) | more


def _texts(figure):
    return {text.get_position()[::-1]: text.get_text() for text in figure.axes[0].texts}


def test_rows_are_per_cent_of_the_true_class():
    figure = draw_confusion(_content([[6, 2, 0], [0, 0, 0], [1, 0, 999]], [8, 0, 1000]))
    shown = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown[0], [75, 25, 0])
    assert np.ma.getmaskarray(shown)[1].all()  # never true
    assert _texts(figure) == {(0, 0): '75', (0, 1): '25', (0, 2): '0', (2, 0): '<1',
                              (2, 1): '0', (2, 2): '100'}
    title = figure._suptitle.get_text()
    assert '2 samples\nA row adds up to 100 %; grey: never true' in title
    axes = figure.axes[0]
    assert axes.get_ylabel() == 'true' and axes.get_xlabel() == 'predicted'
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        'class 0', 'class 1', 'class 2']


def test_overlapping_classes_are_explained():
    figure = draw_confusion(_content([[8, 4], [2, 1]], [8, 2], overlapping=True,
                                     threshold=0.4, samples=1))
    assert _texts(figure)[0, 0] == '100' and _texts(figure)[0, 1] == '50'
    title = figure._suptitle.get_text()
    assert '1 sample, probability 0.4 and above' in title
    assert 'may add up to more than 100 %' in title and 'grey' not in title


@pytest.mark.parametrize('count', [2, 150])
def test_names_and_title_fit(count):
    counts = np.eye(count, dtype=int).tolist()
    figure = draw_confusion(_content(counts, [1] * count))
    assert bool(figure.axes[0].texts) == (count == 2)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for text in (figure._suptitle, *figure.axes[0].get_xticklabels(),
                 *figure.axes[0].get_yticklabels(), figure.axes[0].yaxis.label,
                 figure.axes[0].xaxis.label):
        place = text.get_window_extent(renderer)
        assert place.x0 >= 0 and place.y0 >= 0
        assert place.x1 <= figure.bbox.x1 and place.y1 <= figure.bbox.y1
