"""Workers end with the process that they work for, however that one ends."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor

from ddp_perception.workers import end_with_parent


def work():
    print(os.getpid(), flush=True)
    time.sleep(60)


if __name__ == '__main__':
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn'),
                             initializer=end_with_parent) as pool:
        pool.submit(work).result()
"""


def runs(pid):
    """Whether a process is there and has not ended yet."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2][1] != 'Z'
    except FileNotFoundError:
        return False


def test_a_worker_ends_with_a_killed_parent(tmp_path, repository_dir):
    script = tmp_path / 'pool.py'
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE,
                              env={**os.environ, 'PYTHONPATH': str(repository_dir)})
    worker = int(parent.stdout.readline())
    assert runs(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    ends = time.monotonic() + 20
    while runs(worker) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not runs(worker)
