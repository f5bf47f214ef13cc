import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddp_perception.cli.main import main

CONFIGS = Path(__file__).parent / 'configs'


@pytest.fixture
def tiny_config():
    return str(CONFIGS / 'tiny.py')


@pytest.fixture
def tiny_iters_config():
    return str(CONFIGS / 'tiny_iters.py')


@pytest.fixture
def points_config():
    return str(CONFIGS / 'points.py')


@pytest.fixture
def tiny_root(tmp_path):
    """Data of the tiny configuration."""
    root = tmp_path / 'tiny data'
    root.mkdir()
    (root / 'train.json').write_text(json.dumps([i / 8 for i in range(12)]))
    (root / 'val.json').write_text(json.dumps([0.0, 0.5, 1.0, 1.5, 2.0]))
    return root


def _forget_runs():
    """mmengine names a run by the second; two in one would share a logger."""
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.registry import DefaultScope
    from mmengine.visualization import Visualizer
    for manager in (DefaultScope, MessageHub, MMLogger, Visualizer):
        manager._instance_dict.clear()


@pytest.fixture(autouse=True)
def forgotten_runs():
    """Let no run of a test be one of another's."""
    yield
    _forget_runs()


@pytest.fixture
def run():
    """Run the command in this process; the exit status must be 0."""

    def run_command(*argv):
        _forget_runs()
        assert main([str(argument) for argument in argv]) == 0

    return run_command


@pytest.fixture
def error_of(capsys):
    """Run the command and return its message; the exit status must be 2."""

    def failing_command(*argv):
        _forget_runs()
        capsys.readouterr()
        assert main([str(argument) for argument in argv]) == 2
        return capsys.readouterr().err

    return failing_command


@pytest.fixture
def run_in_two_processes(repository_dir, tmp_path):
    """Run the command in two processes; return what they print."""

    def run_command(*argv):
        done = subprocess.run(
            [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2',
             '--standalone', '-m', 'ddp_perception.cli', *map(str, argv),
             '--launcher', 'pytorch'],
            env={**os.environ, 'OMP_NUM_THREADS': '1',
                 'PYTHONPATH': str(repository_dir)}, cwd=tmp_path,
            capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    return run_command
