import json

import pytest

from benchmarks import training


@pytest.mark.slow
def test_a_training_step_is_measured_where_gradients_agree(capsys):
    training.main(['--size', '8', '9', '--layers', '2', '--rounds', '1', '--warmup',
                   '0'])
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case['name'] for case in cases] == [
        f'decoder_8x9_training{case}' for case in ('', '_with_cp',
                                                   '_with_cp_over_without')]
    assert all(case['ours_s'] > 0 for case in cases)
