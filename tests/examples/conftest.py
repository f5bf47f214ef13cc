import os
import subprocess
import sys

import pytest


@pytest.fixture
def command(repository_dir, tmp_path):
    """Run a module as a reader would, with the examples on the path."""

    def run(module, *argv):
        done = subprocess.run(
            [sys.executable, '-m', module, *map(str, argv)], cwd=tmp_path, env={
                **os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(
                    [str(repository_dir), str(repository_dir / 'examples')])},
            capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    return run
