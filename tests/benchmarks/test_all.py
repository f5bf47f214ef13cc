import json

import pytest

from benchmarks import partial_steps
from benchmarks.__main__ import main


def test_cases_of_all_benchmarks_make_one_table(monkeypatch, capsys):
    small = partial_steps.main
    monkeypatch.setattr(partial_steps, 'main', lambda argv: small(
        [*argv, '--size', '8', '9', '--layers', '1', '--shares', '0.5', '--warmup',
         '0']))
    cases = main(['partial_steps', '--rounds', '1'])
    said = capsys.readouterr().out.splitlines()
    assert json.loads(said[-1]) == cases and len(cases) == 1
    assert any('three_steps_share_0.5' in line and f'{cases[0]["ratio"]:.2f}' in line
               for line in said[:-1] if line.startswith('|'))


@pytest.mark.parametrize('argv, message', [
    (['nothing'], 'one of bev_pool, map_masks'),
    (['bev_pool', '--threads', '0'], 'at least 1, got 0')])
def test_wrong_options_are_named(argv, message, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert message in capsys.readouterr().err
