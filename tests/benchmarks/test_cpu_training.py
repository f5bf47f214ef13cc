import json
import subprocess
import sys

import pytest

from benchmarks import cpu_training

SMALL = ['--size', '64', '64', '--steps', '1', '--threads', '1', '--rounds', '1']


@pytest.mark.slow
def test_each_case_takes_the_same_step(capsys):
    cpu_training.main(SMALL)
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(cases) == 2
    assert all(case['ours_s'] > 0 and case['ours_peak_mib'] > 100 for case in cases)


def test_a_case_is_measured_in_its_process():
    done = subprocess.run([sys.executable, '-m', 'benchmarks.cpu_training', *SMALL,
                           '--case', 'kept, channels last'], check=True, text=True,
                          stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found['seconds'] > 0 and found['loss'] > 0 and found['gradient_norm'] > 0


@pytest.fixture
def measured(monkeypatch):
    """Cases in the order in which they are asked for; a table of what they give."""
    order, given = [], {'default': 3., 'kept': 2., 'kept, channels last': 1.5}

    def found(args, name):
        order.append(name)
        return dict(loss=1., gradient_norm=2., seconds=given[name], rss_mib=10.)
    monkeypatch.setattr(cpu_training, 'in_own_process', found)
    return order


def test_ratios_are_over_the_default_and_cases_take_turns(measured, capsys):
    cases = cpu_training.main(['--rounds', '2'])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == cases
    assert [case['ratio'] for case in cases] == [1.5, 2.]
    assert measured == [*cpu_training.CASES, *cpu_training.CASES[::-1]]


@pytest.mark.parametrize('key', ['loss', 'gradient_norm'])
def test_other_gradients_are_an_error(key, monkeypatch):
    def found(args, name):
        one = dict(loss=1., gradient_norm=2., seconds=1., rss_mib=20.)
        return one if name == 'default' else {**one, key: one[key] * 1.01}
    monkeypatch.setattr(cpu_training, 'in_own_process', found)
    with pytest.raises(AssertionError, match=key):
        cpu_training.main([])
