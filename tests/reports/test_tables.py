import math

import pytest

from ddp_perception.reports.tables import shown, sort_figures, tables_of


@pytest.mark.parametrize('value, text', [
    (None, '–'), (5, '5'), (5., '5'), (0, '0'), (0.65405623, '0.6541'),
    (27.8301, '27.83'), (27834.56, '27835'), (1234567890123, '1.235e+12'),
    (0.000123456, '0.0001235'), (3.87e-5, '3.870e-05'), (-0.3191, '-0.3191'),
    (math.inf, '∞'), ('text', 'text')])
def test_numbers_are_shown_with_four_digits(value, text):
    assert shown(value) == text


def test_names_of_metrics_form_tables():
    found = sort_figures({
        'map/road/iou@max': 0.6, 'map/road/iou@0.5': 0.5,
        'map/path/iou@max': 0.2, 'map/mean/iou@max': 0.4,
        'uncertainty/entropy/auroc': 0.7, 'calibration/ece': 0.1, 'mIoU': 31.7})
    table, = found.grids
    assert table.title == 'map'
    assert list(table.head) == ['', 'iou@max']
    assert table.rows == [['road', 0.6], ['path', 0.2], ['mean', 0.4]]
    assert found.single == {
        'map/road/iou@0.5': 0.5, 'map/mean/iou@max': 0.4,
        'uncertainty/entropy/auroc': 0.7, 'calibration/ece': 0.1, 'mIoU': 31.7}


def test_any_json_becomes_tables():
    plain, alike, columns, lines = tables_of('probe', {
        'says': 'no influence', 'works': False,
        'three': {'road': 0.6, 'path': 0.2}, 'one': {'road': 0.5, 'path': 0.1},
        'times': [0.9, 0.1], 'gain': [1, None],
        'steps': [{'step': 1, 'iou': 0.2}, {'step': 2, 'seconds': 3}]})
    assert plain.rows == [['says', 'no influence'], ['works', 'no']]
    assert list(alike.head) == ['', 'three', 'one']
    assert alike.rows == [['road', 0.6, 0.5], ['path', 0.2, 0.1]]
    assert list(columns.head) == ['times', 'gain']
    assert columns.rows == [[0.9, 1], [0.1, None]]
    assert list(lines.head) == ['step', 'iou', 'seconds']
    assert lines.rows == [[1, 0.2, None], [2, None, 3]]


def test_long_and_deep_json_is_bounded():
    deep = 1
    for _ in range(50):
        deep = {'deeper': deep, 'n': 1}
    assert len(tables_of('deep', deep)) < 10
    table, = tables_of('long', list(range(1000)))
    assert len(table.rows) == 200 and '800 more lines' in table.note
    assert len(tables_of('many', {str(i): [[i]] for i in range(500)})) == 40
