import json

import pytest

from benchmarks import decoder

TINY = {'tiny': dict(size=(8, 9), layers=1, feats=8, classes=3)}


@pytest.mark.slow
def test_each_backend_is_measured_against_the_same_baseline(monkeypatch, capsys):
    monkeypatch.setattr(decoder, 'CASES', TINY)
    decoder.main(['--rounds', '1', '--warmup', '0', '--backend', 'gather',
                  'grid_sample'])
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case['name'] for case in cases] == [
        f'tiny_step{case}_{backend}' for backend in ('gather', 'grid_sample')
        for case in ('', '_and_condition', '_over_products', '_bfloat16')]


def test_a_backend_for_another_device_is_refused():
    with pytest.raises(ValueError, match='CUDA'):
        decoder.by_backend(['mmcv'], lambda: decoder.run(
            'tiny', **TINY['tiny'], device='cpu', rounds=1, warmup=0))
