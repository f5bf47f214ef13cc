import json
import os
import subprocess
import sys

import pytest

KILLS = int(os.environ.get('KILLED_TRAININGS', '8'))
"""40 take six minutes on two busy cores."""


@pytest.mark.slow
def test_killed_trainings_resume_to_the_figures_of_uninterrupted_ones(repository_dir):
    done = subprocess.run(
        [sys.executable, '-m', 'tests.kill_training', '--kills', str(KILLS)],
        cwd=repository_dir, capture_output=True, text=True, timeout=60 + 30 * KILLS,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report['killed'] == KILLS and report['in_a_write'] >= KILLS // 2
    assert report['resumed_to_the_same'] == KILLS, report['wrong']
