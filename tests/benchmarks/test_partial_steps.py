import json

from benchmarks import partial_steps


def test_shares_are_measured_and_reported_as_json(capsys):
    partial_steps.main(['--size', '8', '9', '--layers', '1', '--shares', '0.5', '0.1',
                        '--rounds', '1', '--warmup', '0'])
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case['name'] for case in cases] == ['three_steps_share_0.5',
                                                'three_steps_share_0.1']
    assert all(case['ours_s'] > 0 and case['ratio'] > 0 for case in cases)
