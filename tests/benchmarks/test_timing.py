import json

import pytest
import torch

from benchmarks import timing


def test_compare_reports_ratio_and_peak_memory_of_each_candidate():
    values = torch.rand(64, 4096)

    def ours():
        return values.sum()

    def baseline():
        wide = values.repeat(64, 1)  # 64 MiB that ours does without
        return wide[:64].sum()

    result = timing.compare('sum', ours, baseline, rounds=3, warmup=1)
    assert result['ratio'] == result['baseline_s'] / result['ours_s'] > 1
    assert 60 < result['baseline_peak_mib'] < 80
    assert result['ours_peak_mib'] < 8
    assert (result['device'], result['dtype']) == ('cpu', 'float32')


def test_compare_alternates_the_candidate_that_goes_first():
    calls = []
    timing.compare('order', lambda: calls.append('o') or torch.zeros(1),
                   lambda: calls.append('b') or torch.zeros(1),
                   rounds=4, warmup=0)
    assert ''.join(calls[2:10]) == 'obboobbo'  # after the check's pair


def test_compare_refuses_to_time_unequal_outputs():
    with pytest.raises(AssertionError):
        timing.compare('off', lambda: torch.zeros(3), lambda: torch.ones(3))


def test_compare_rejects_zero_rounds():
    with pytest.raises(ValueError, match='rounds must be at least 1'):
        timing.compare('none', dict, dict, rounds=0)


@pytest.mark.parametrize('measure', ['_peak_bytes_high_water',
                                     '_peak_bytes_sampled'])
def test_peak_counts_memory_that_is_freed_before_the_call_ends(measure):
    if measure == '_peak_bytes_high_water':
        if not timing._reset_high_water_mark():
            pytest.skip('the kernel cannot reset the high-water mark')

    def candidate():
        large = torch.ones(16 * 2 ** 20)  # 64 MiB
        return large.sum()

    peak = getattr(timing, measure)(candidate, torch.device('cpu')) / 2 ** 20
    assert 60 < peak < 80


def test_report_ends_with_one_json_line(capsys):
    case = timing.compare('same', lambda: torch.zeros(2),
                          lambda: torch.zeros(2), rounds=1, warmup=0)
    timing.report([case])
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert json.loads(last) == [case]


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: f'GPU {device}')
    assert timing.device_name('cuda:1') == 'cuda (GPU cuda:1)'
    assert timing.device_name('cpu') == 'cpu'
