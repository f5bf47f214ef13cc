import json

import pytest

from benchmarks import export


@pytest.mark.slow
def test_every_case_is_timed_once_its_output_agrees(capsys):
    export.main(['--rounds', '1', '--threads', '1', '--no-compile'])
    floats, integers = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert floats['dtype'] == 'float32' and floats['ratio'] > 0
    assert integers['dtype'] == 'int8' and integers['same_decisions'] > .9
