"""Odd inputs through every reader; see `tests.fuzz`."""
import os
import re
import subprocess
import sys

import pytest


def _fuzz(repository_dir, *arguments):
    return subprocess.run(
        [sys.executable, '-m', 'tests.fuzz', *arguments], cwd=repository_dir,
        env={**os.environ, 'PYTHONPATH': str(repository_dir)}, text=True,
        capture_output=True)


@pytest.mark.slow
def test_every_reader_takes_or_refuses_3000_odd_inputs(repository_dir):
    """In 10 s and 2 GiB each, with a message that names what is odd."""
    done = _fuzz(repository_dir, '--inputs', '3000', '--seed', '0')
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert re.search(r'^all +3000 ', done.stdout, re.MULTILINE)
