import pytest

from benchmarks.processes import measure_alone


def test_a_process_that_fails_ends_the_benchmark():
    with pytest.raises(SystemExit, match="case 'nothing' ended with status 2"):
        measure_alone('cpu_training', 'nothing', [])
