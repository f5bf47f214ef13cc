import numpy as np
import torch
from matplotlib.colors import to_rgb
from mmdet3d.structures import Det3DDataSample, LiDARInstance3DBoxes
from mmengine.structures import InstanceData, PixelData

from ddp_perception.visualization import draw_frame, frame_from_sample
from ddp_perception.visualization.boxes import (
    PREDICTED_BOX,
    WORDS,
    abbreviate,
    corners_from_above,
)

CLASSES = ('car', 'truck', 'trailer', 'bus')
BOUNDS = dict(xbound=(-20, 20, 1), ybound=(-15, 15, 1))


def _boxes(places):
    return LiDARInstance3DBoxes(torch.tensor(
        [[float(x), float(y), 0, 4, 2, 1, 0, 0, 0] for x, y in places]), box_dim=9)


def _sample(places=(), scores=(), labels=None, true_places=None, true_map=False):
    sample = Det3DDataSample(metainfo={'token': 'x'})
    sample.pred_map_seg = PixelData(data=torch.zeros(6, 40, 30))
    if true_map:
        sample.gt_map_seg = PixelData(data=torch.zeros(6, 40, 30, dtype=torch.uint8))
    if places:
        sample.pred_instances_3d = InstanceData(
            bboxes_3d=_boxes(places), scores_3d=torch.tensor(scores),
            labels_3d=torch.tensor(labels or [0] * len(places)))
    if true_places is not None:
        sample.eval_ann_info = {'gt_bboxes_3d': _boxes(true_places),
                                'gt_labels_3d': np.zeros(len(true_places), int)}
    return sample


def _draw(sample):
    return draw_frame(frame_from_sample(sample, **BOUNDS, box_classes=CLASSES))


def _lines(figure):
    """Return centres and line style of the boxes by the panel's title."""
    return {axes.get_title(): [
        ([tuple(path.vertices[:4].mean(0)) for path in lines.get_paths()],
         'solid' if lines.get_linestyle()[0][1] is None else 'dashed')
        for lines in axes.collections] for axes in figure.axes if axes.collections}


def _words(figure):
    return [text for axes in figure.axes for text in axes.texts]


def _legend(figure):
    legend, = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    return [' '.join(text.get_text().split()) for text in legend.get_texts()]


def test_corners_seen_from_above():
    boxes = LiDARInstance3DBoxes(torch.tensor([
        [10., 20, 0, 4, 2, 1, 0, 0, 0], [0, 0, 0, 4, 2, 1, np.pi / 2, 0, 0]]),
        box_dim=9)
    corners = corners_from_above(boxes)
    assert corners.shape == (2, 4, 2)
    np.testing.assert_allclose(corners[0], [[12, 21], [12, 19], [8, 19], [8, 21]])
    # Turned to the left its length lies along y.
    np.testing.assert_allclose(np.ptp(corners[1], axis=0), [2, 4], atol=1e-5)
    # The same rectangle as mmdet3d's own corners of the bottom.
    bottom = boxes.corners[:, [0, 3, 7, 4], :2].numpy()
    for mine, theirs in zip(corners, bottom, strict=True):
        np.testing.assert_allclose(sorted(map(tuple, mine.round(4))),
                                   sorted(map(tuple, theirs.round(4))), atol=1e-3)


PREDICTED = 'predicted map (probability 0.5 and above)'


def test_picture_shows_confident_boxes_and_true_ones():
    figure = _draw(_sample([(1, 2), (3, 4), (-9, 8)], [.9, .1, .5], [0, 1, 2],
                           [(5, 6)], true_map=True))
    assert _lines(figure) == {PREDICTED: [([(1, 2), (-9, 8)], 'solid')],
                              'true map': [([(5, 6)], 'dashed')]}
    assert {'predicted box, from score 0.3', 'true box'} <= set(_legend(figure))
    frame = frame_from_sample(_sample())
    assert frame.boxes is None and frame.true_boxes is None


def test_true_boxes_are_drawn_without_a_true_map():
    figure = _draw(_sample([(1, 2)], [.9], true_places=[(5, 6)]))
    assert _lines(figure) == {PREDICTED: [([(1, 2)], 'solid'), ([(5, 6)], 'dashed')]}
    assert 'true box' in _legend(figure)


def test_boxes_say_class_and_score_in_the_colour_of_the_legend():
    figure = _draw(_sample([(1, 2), (-9, 8), (9, -8)], [.9, .456, .2], [0, 1, 2]))
    assert {(text.get_text(), tuple(map(float, text.xy))) for text in
            _words(figure)} == {('car 0.90', (1, 3)), ('tru 0.46', (-9, 9))}
    assert 'beside the surest: class and score (tru: truck)' in _legend(figure)
    for text in _words(figure):
        np.testing.assert_allclose(to_rgb(text.get_color()),
                                   np.divide(PREDICTED_BOX, 255))


def test_words_beside_boxes_leave_each_other_room():
    places = [(x, y) for x in range(-18, 19, 2) for y in range(-14, 14, 2)]
    scores = np.linspace(.4, .9, len(places)).tolist()
    words = _words(_draw(_sample(places, scores)))
    assert 4 < len(words) <= WORDS and words[0].get_text() == 'car 0.90'
    where = np.array([text.xy for text in words])
    apart = np.abs(where[:, None] - where)  # metres, of 40 x 30
    apart[np.arange(len(words)), np.arange(len(words))] = 99
    assert ((apart[..., 0] > 3) | (apart[..., 1] > 0.7)).all()
    outside = _draw(_sample([(99, 2)], [.9]))
    assert _words(outside) == []


def test_labels_without_a_name_are_numbers():
    figure = _draw(_sample([(1, 2)], [.9], [7]))
    assert [text.get_text() for text in _words(figure)] == ['class 7 0.90']


def test_classes_are_shortened_to_what_tells_them_apart():
    assert abbreviate(['car', 'truck', 'trailer', 'traffic_cone', 'bus']) == [
        'car', 'tru', 'trai', 'traf', 'bus']
    assert abbreviate(['cart', 'car', 'a']) == ['cart', 'car', 'a']
