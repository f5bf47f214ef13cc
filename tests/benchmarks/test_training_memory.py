import json

import pytest

from benchmarks import training_memory

SMALL = ['model.seg_head.decoder.channels=16', 'model.seg_head.decoder.num_layers=2',
         'model.seg_head.decoder.num_heads=2', 'model.img_backbone.depths=[1,1,2,1]']


@pytest.mark.slow
def test_checkpointing_takes_less_memory_for_the_same_gradients(capsys):
    training_memory.main(['--threads', '1', '--cfg-options', *SMALL])
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    head, both = (case['memory_ratio'] for case in cases)
    assert both < head < 1
    assert all(case['ours_peak_mib'] > 100 for case in cases)


@pytest.mark.parametrize('key', ['loss', 'gradient_norm'])
def test_other_gradients_are_an_error(key, monkeypatch):
    def found(config, changes, name, threads, device):
        one = dict(loss=1., gradient_norm=2., seconds=1., threads=1, peak_mib=10.,
                   rss_mib=20.)
        return one if name == 'off' else {**one, key: one[key] * 1.01}
    monkeypatch.setattr(training_memory, 'in_own_process', found)
    with pytest.raises(AssertionError, match=key):
        training_memory.main([])


def test_the_ratio_is_that_of_the_peaks(monkeypatch, capsys):
    peaks = {'off': 10., 'head': 6., 'head, backbone': 4.}

    def found(config, changes, name, threads, device):
        return dict(loss=1., gradient_norm=2., seconds=1., threads=1,
                    peak_mib=peaks[name], rss_mib=20. + peaks[name])
    monkeypatch.setattr(training_memory, 'in_own_process', found)
    cases = training_memory.main(['--rounds', '2'])
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == cases
    assert [case['memory_ratio'] for case in cases] == [.6, .4]
    assert cases[1]['rss_ratio'] == pytest.approx(.8)
