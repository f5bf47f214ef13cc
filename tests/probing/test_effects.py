"""Sentences of results that were made up."""
from math import inf, nan

import pytest

from ddp_perception.probing import (
    Figure,
    Measured,
    ProbeResult,
    first_choice,
    probe_table,
    rule_of,
    sentences,
)

IOU = Figure('mIoU', 'greater')


def result(steps=(50., 50.), feedback=50., truth=None, empty=50., shares=(0., 0., 0.),
           figure=IOU):
    """Runs of 1, 2, ... steps; shares of seeds, feedback and truth."""
    def item(group, value, metric, reference=None, apart=nan, spread=nan, key=None):
        return Measured(key or group, f'{group} {value:g}', group, value, reference,
                        {figure.name: metric, 'other': 1.}, apart, spread, 0.25)
    measured = [item('steps', index, metric, None if index == 1 else 'steps_1',
                     key=f'steps_{index}') for index, metric in enumerate(steps, 1)]
    measured += [item('zeros', 2, 50., 'steps_2', 0.),
                 item('feedback', 2, feedback, 'steps_2', shares[1]),
                 item('seeds', 4, 50., 'steps_2', shares[0], 0.01)]
    if truth is not None:
        measured += [item('no_truth', .1, empty, 'steps_1', 0., key='no_truth_0.1'),
                     item('truth', .1, truth, 'no_truth_0.1', shares[2],
                          key='truth_0.1')]
    return ProbeResult(figure, measured, 3, 'probability')


@pytest.mark.parametrize('made, begins', [
    (dict(truth=50.), 'no influence'),
    (dict(truth=50.4, shares=(.0009, .0009, .0009)), 'no influence'),
    (dict(truth=50.6), 'little influence'),  # more than 1 % of 50
    (dict(truth=50., shares=(.0011, 0, 0)), 'little influence'),
    (dict(truth=50., shares=(0, .0011, 0)), 'little influence'),
    (dict(truth=50., shares=(0, 0, .0011)), 'little influence'),
    (dict(truth=50., feedback=49.), 'little influence'),
    (dict(truth=54.9, shares=(.1, .1, .1)), 'little influence'),
    (dict(truth=55.1, shares=(.1, .1, .1)), 'guides'),
    (dict(truth=40., shares=(.1, .1, .1)), 'little influence'),  # worse
    (dict(), 'no influence'), (dict(shares=(.2, 0, 0)), 'has an influence'),
    (dict(truth=nan), 'cannot be said')])
def test_influence_by_the_stated_thresholds(made, begins):
    assert begins in sentences(result(**made))[0]


def test_errors_are_better_where_they_are_less():
    less = Figure('rmse', 'less')
    assert 'guides' in sentences(result(truth=44., figure=less))[0]
    assert 'little' in sentences(result(truth=56., figure=less))[0]
    assert sentences(result(steps=(5., 4., 3.), truth=9., figure=less))[1] == (
        'More steps help: rmse is 3 after 3, 5 after one.')


def test_the_sentence_has_the_figures():
    assert sentences(result(truth=60., shares=(.25, .125, .5)))[0] == (
        'The noisy map guides this model: from the noised truth at t = 0.1 mIoU is 60, '
        'from the noise alone 50; another seed changes 25 % of the decisions, another '
        "image's map fed back 12.5 %.")
    assert sentences(result(truth=50., shares=(0, 0, .0001)))[0].endswith(
        'and the truth, noised to t = 0.1, 0.01 %.')


@pytest.mark.parametrize('steps, begins', [
    ((50., 50.6, 50.), 'More steps help: mIoU is 50.6 after 2'),  # feedback: 50
    ((49., 50.), 'More steps help, by the time that the decoder is told alone: mIoU '
     'is 50 after 2, 49 after one.'),
    ((50., 50.4), 'More steps do not help: at best, mIoU is 50.4 after 2, 50 after'),
    ((50., 40., 45.), 'More steps do not help: at best, mIoU is 45 after 3'),
    ((nan, 40.), 'Whether more steps help cannot be said')])
def test_steps_by_the_stated_threshold(steps, begins):
    assert sentences(result(steps=steps))[1].startswith(begins)


def test_gains_are_shares_of_the_reference():
    assert IOU.gain(55., 50.) == pytest.approx(0.1)
    assert Figure('e', 'less').gain(55., 50.) == pytest.approx(-0.1)
    assert Figure('e', 'less').gain(-55., -50.) == pytest.approx(0.1)
    assert (IOU.gain(0., 0.), IOU.gain(1., 0.), IOU.gain(-1., 0.)) == (0, inf, -inf)


def test_table_has_each_truth_beside_its_noise():
    table = probe_table(result(truth=60., shares=(.25, .125, .5)))
    row, = (line for line in table.splitlines() if 'truth 0.1' in line[:20])
    assert [cell.strip() for cell in row.strip('|').split('|')] == [
        'truth 0.1', '60', 'no_truth 0.1: 50', '+20.00 %', '50 %', '', '0.25']


def test_content_has_gains_over_pure_noise_too():
    content = result(steps=(40., 50.), truth=60.).content()
    item = content['variations'][-1]
    assert item['key'] == 'truth_0.1'
    assert (item['gain'], item['gain_over_one_step']) == pytest.approx((0.2, 0.5))
    assert content['metric'] == {'name': 'mIoU', 'rule': 'greater'}


def test_the_figure_is_the_hooks_or_a_known_one_or_the_first():
    figures = {'aAcc': 1., 'mIoU': 2., 'other': 3.}
    assert first_choice(figures, 'other') == 'other'
    assert first_choice(figures, 'gone') == first_choice(figures) == 'mIoU'
    assert first_choice({'flow/epe': 1., 'b': 2.}) == 'flow/epe'
    with pytest.raises(ValueError, match='no figure'):
        first_choice({})


def test_the_rule_is_the_hooks_or_mmengines():
    hook = dict(save_best='epe', rule='less')
    assert (rule_of('epe', hook), rule_of('abs_rel'), rule_of('val/loss'),
            rule_of('mAcc', hook)) == ('less', 'less', 'less', 'greater')
    with pytest.raises(ValueError, match='rule for key epe'):
        rule_of('epe')
