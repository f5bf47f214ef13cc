import cv2
import pytest

from ddp_perception.visualization.probe import draw_probe, save_probe


def content(truth=True):
    def item(key, group, value, metric, apart=0.2):
        return dict(key=key, group=group, value=value, metrics={'mIoU': metric},
                    apart=apart, seconds=value / 8)
    items = [item('steps_1', 'steps', 1, 30., None), item('steps_3', 'steps', 3, 33.),
             item('zeros', 'zeros', 3, 32.), item('feedback', 'feedback', 3, 20., 0.4),
             item('seeds', 'seeds', 4, 34., 0.1)]
    if truth:
        items += [item('no_truth_0.5', 'no_truth', 0.5, 31.),
                  item('truth_0.5', 'truth', 0.5, 60., 0.5)]
    return dict(variations=items, metric=dict(name='mIoU', rule='greater'),
                thresholds=dict(share_of_cells=0.001),
                sentences=['A rather long sentence with figures. ' * 8, 'Short.'])


def test_every_variation_is_in_its_panel():
    figure = draw_probe(content())
    steps, truth, apart = figure.axes
    assert [list(line.get_ydata()) for line in steps.lines] == [
        [30., 33.], [32.], [20.], [34.]]
    assert [label.get_text() for label in steps.get_xticklabels()] == [
        '1\n0.12', '3\n0.38']
    assert [list(line.get_ydata())[0] for line in truth.lines] == [60., 31., 30.]
    assert [bar.get_width() for bar in apart.patches] == [10., 20., 40., 50.]
    assert apart.get_yticklabels()[-1].get_text() == 'truth at t = 0.5'


@pytest.mark.parametrize('truth', [True, False])
def test_titles_labels_and_legends_do_not_meet(truth, tmp_path):
    figure = draw_probe(content(truth))
    figure.canvas.draw()
    panels = figure.axes
    assert len(panels) == 2 + truth
    heading = figure._suptitle.get_window_extent()
    assert heading.x1 < figure.bbox.x1
    boxes = [panel.get_tightbbox() for panel in panels]
    assert all(not heading.overlaps(box) for box in boxes)
    assert all(one.x1 < other.x0 for one, other in zip(boxes, boxes[1:], strict=False))
    for panel in panels[:-1]:
        legend = panel.get_legend().get_window_extent()
        for line in panel.lines:
            points = panel.transData.transform(line.get_xydata()[:, :2]) \
                if line.get_label() != 'from pure noise (t = 1)' else []
            assert not any(legend.contains(*point) for point in points)
    picture = cv2.imread(str(save_probe(content(truth), tmp_path / 'a' / 'p.png')))
    assert picture.shape[:2] == (480, 1500)
