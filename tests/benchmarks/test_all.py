import json

import pytest

from benchmarks import (
    bev_pool,
    decoder,
    partial_steps,
    training_memory,
    whole_frames,
)
from benchmarks.__main__ import WITH_DTYPE, main


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_cases_of_all_benchmarks_make_one_table(dtype, monkeypatch, capsys):
    small = partial_steps.main
    monkeypatch.setattr(partial_steps, 'main', lambda argv: small(
        [*argv, '--size', '8', '9', '--layers', '1', '--shares', '0.5', '--warmup',
         '0']))
    cases = main(['partial_steps', '--rounds', '1', '--dtype', dtype])
    said = capsys.readouterr().out.splitlines()
    assert json.loads(said[-1]) == cases and len(cases) == 1
    assert cases[0]['dtype'] == dtype
    assert any('three_steps_share_0.5' in line and f'{cases[0]["ratio"]:.2f}' in line
               for line in said[:-1] if line.startswith('|'))


@pytest.mark.parametrize('argv, message', [
    (['nothing'], 'one of bev_pool, map_masks'),
    (['bev_pool', '--threads', '0'], 'at least 1, got 0'),
    (['decoder', 'map_masks', '--dtype', 'bfloat16'], 'map_masks has no bfloat16')])
def test_wrong_options_are_named(argv, message, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert message in capsys.readouterr().err


@pytest.fixture
def asked(monkeypatch):
    """Options by benchmark; none of these is measured."""
    asked = {}

    def instead(name):
        def run(argv):
            asked[name] = argv
            return [dict(
                name=name, dtype='bfloat16', ours_s=1., baseline_s=2., ratio=2.,
                ours_peak_mib=1., baseline_peak_mib=1., device='cpu',
                rounds=rounds_of(argv))]
        return run
    for module in (bev_pool, decoder, partial_steps, training_memory, whole_frames):
        name = module.__name__.removeprefix('benchmarks.')
        monkeypatch.setattr(module, 'main', instead(name))
    return asked


def rounds_of(argv):
    return int(argv[argv.index('--rounds') + 1])


def test_bfloat16_of_all_is_that_of_those_that_have_it(asked, capsys):
    main(['--dtype', 'bfloat16'])
    said = capsys.readouterr().out
    assert list(asked) == list(WITH_DTYPE)
    assert all('bfloat16' in argv for argv in asked.values())
    assert 'left out: bev_pool, map_masks, training, export' in said


def test_short_calls_get_more_rounds(asked, capsys):
    main(['bev_pool', 'decoder', 'training_memory', '--rounds', '2'])
    rounds = {name: rounds_of(argv) for name, argv in asked.items()}
    assert rounds == {'bev_pool': 10, 'decoder': 2, 'training_memory': 1}
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {row[1]: int(row[-2]) for row in rows if row[1:2] and row[1] in asked} \
        == rounds
