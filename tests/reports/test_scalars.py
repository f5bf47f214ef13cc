import json

from ddp_perception.reports.scalars import join, read_scalars
from tests.reports.conftest import train_line


def lines_of(tmp_path, *lines):
    path = tmp_path / 'scalars.json'
    path.write_text('\n'.join(
        line if isinstance(line, str) else json.dumps(line) for line in lines))
    return read_scalars(path)


def curves_of(tmp_path, *runs):
    return join([lines_of(tmp_path, *run)[0] for run in runs])


def test_a_resumed_run_continues_where_its_first_line_says(tmp_path):
    curves = curves_of(
        tmp_path,
        [train_line(10), train_line(20), {'iou': 0.2, 'step': 25},
         train_line(30), {'iou': 0.9, 'step': 35}],
        [train_line(30, loss=7.), {'iou': 0.4, 'step': 35}, train_line(40)])
    assert curves.training['loss'].steps == [10, 20, 30, 40]
    assert curves.training['loss'].values == [0.1, 0.05, 7., 0.025]
    assert curves.validation['iou'].steps == [25, 35]
    assert curves.validation['iou'].values == [0.2, 0.4]
    assert (curves.unit, curves.iterations) == ('iteration', 40)


def test_a_validation_that_was_lost_does_not_outlast_a_resumed_run(tmp_path):
    curves = curves_of(
        tmp_path,
        [train_line(10), train_line(20), {'iou': 0.9, 'step': 22}],
        [train_line(20), {'iou': 0.3, 'step': 21}])
    assert curves.validation['iou'].steps == [21]


def test_a_training_that_starts_anew_replaces_the_earlier_one(tmp_path):
    curves = curves_of(
        tmp_path, [train_line(10), train_line(20), {'old': 1., 'step': 1}],
        [train_line(10, loss=3.)])
    assert curves.training['loss'].steps == [10]
    assert curves.training['loss'].values == [3.]
    assert curves.validation == {}


def test_validations_are_counted_as_the_run_counts_them(tmp_path):
    by_epoch = curves_of(tmp_path, [
        train_line(3, epoch=1), {'iou': 0.1, 'step': 1},
        train_line(6, epoch=2), {'iou': 0.2, 'step': 2}])
    assert (by_epoch.unit, by_epoch.epoch) == ('epoch', 2)
    by_iteration = curves_of(tmp_path, [
        train_line(3, epoch=1), {'iou': 0.1, 'step': 3}])
    assert by_iteration.unit == 'iteration'


def test_seconds_are_figures_of_training_alone(tmp_path):
    curves = curves_of(tmp_path, [
        train_line(1), {'iou': 0.1, 'time': 2., 'data_time': 1., 'step': 1}])
    assert 'time' in curves.training
    assert list(curves.validation) == ['iou']


def test_damaged_lines_are_counted_and_left_out(tmp_path):
    lines, wrong = lines_of(
        tmp_path, train_line(1), '{"loss": 0.', '[1, 2]', '{"loss": 1}',
        '{"step": 1e999}', '{"step": 1, "iter": 1, "epoch": 1e999}',
        '{"step": -1}', '[' * 100_000, '', '{"loss": NaN, "iter": 2, "step": 2}',
        train_line(3), '{"loss": 0.5, "it')
    assert [line.step for line in lines] == [1, 2, 3]
    assert lines[1].values == {}
    assert wrong.startswith('8 of 12 lines are damaged') and 'line 2' in wrong


def test_numbers_that_no_float_holds_are_no_figures(tmp_path):
    lines, wrong = lines_of(tmp_path, f'{{"big": {"9" * 400}, "ok": 1, "step": 1}}',
                            '{"flag": true, "text": "a", "none": null, "step": 2}')
    assert [line.values for line in lines] == [{'ok': 1.}, {}] and wrong == ''


def test_least_and_greatest_say_where_they_came_first(tmp_path):
    series = curves_of(tmp_path, [train_line(step, loss=value) for step, value in (
        (1, 2.), (2, 5.), (3, 2.), (4, 5.))]).training['loss']
    assert series.least == (2., 1)
    assert series.greatest == (5., 2)
