"""Run a function in a forked child with bounds, and say how it ended."""
import contextlib
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

MORE_BYTES = 2 << 30
SECONDS = 10
PATIENCE = 3  # a loaded machine may give a process a third of a core
_MEMORY = ('MemoryError', 'not enough memory', "can't allocate", 'Unable to allocate',
           'bad_alloc', 'Insufficient memory')


class End(NamedTuple):
    """How a child ended.

    Attributes:
        kind (str): 'ok', 'refused' (a status and a message), 'traceback',
            'timeout', 'crash' or 'memory'.
        text (str): What it wrote as an error.
        seconds (float): Of processor time.
        peak (int): Bytes of memory at most, with those shared with the parent.
        modules (list[str]): That it had imported; of the first runs alone.
    """

    kind: str
    text: str
    seconds: float
    peak: int
    modules: list


class Child:
    """A function that runs in a forked process.

    Args:
        function (Callable): Takes a new folder, its current one; returns an
            exit status.
        tell_modules (bool): Report what it imported.
    """

    def __init__(self, function, tell_modules=False):
        self.folder = Path(tempfile.mkdtemp(prefix='fuzz_'))
        self.pipe, writing = os.pipe()
        self.started = time.monotonic()
        self.late = False
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.pipe)
            _run(function, self.folder, writing, tell_modules)
        os.close(writing)
        with contextlib.suppress(OSError):  # whoever comes first
            os.setpgid(self.pid, self.pid)
        self.base = _own_rss()

    def overdue(self):
        """Kill the process where its time is over."""
        if time.monotonic() - self.started > SECONDS * PATIENCE:
            self.late = True
            self._kill()

    def end(self):
        """Wait for the process and return its `End`."""
        with open(self.pipe, 'rb') as file:
            told = file.read()
        _, status, usage = os.wait4(self.pid, 0)
        self._kill()  # what it has started
        error = self.folder / 'stderr'
        text = error.read_text(errors='replace') if error.is_file() else ''
        shutil.rmtree(self.folder, ignore_errors=True)
        seconds = usage.ru_utime + usage.ru_stime
        told = json.loads(told) if told else {}
        peak = usage.ru_maxrss * 1024
        return End(self._kind(status, told, text, seconds, peak - self.base), text,
                   seconds, peak, told.get('modules', []))

    def _kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _kind(self, status, told, text, seconds, grown):
        if self.late or seconds >= SECONDS:
            return 'timeout'
        if grown > MORE_BYTES or any(word in text for word in _MEMORY):
            return 'memory'
        if not told:
            return 'timeout' if (os.WIFSIGNALED(status) and os.WTERMSIG(status)
                                 == signal.SIGXCPU) else 'crash'
        if told.get('traceback'):
            return 'traceback'
        return 'ok' if told['status'] == 0 else 'refused'


def run_all(functions, jobs):
    """Run functions in children, some at a time.

    Args:
        functions (Iterable[Callable]): See `Child`.
        jobs (int): How many at a time.

    Yields:
        tuple[int, End]: Index of the function, in the order of their ends.
    """
    functions, running = enumerate(functions), {}
    while True:
        while len(running) < jobs:
            index, function = next(functions, (None, None))
            if function is None:
                break
            child = Child(function)
            running[child.pipe] = index, child
        if not running:
            return
        ready, _, _ = select.select(list(running), [], [], 1)
        for pipe in ready:
            index, child = running.pop(pipe)
            yield index, child.end()
        for _, child in running.values():
            child.overdue()


def _run(function, folder, writing, tell_modules):
    """Be the child."""
    told = {'status': 70}
    try:
        os.setpgid(0, 0)
        _bound()
        os.chdir(folder)
        with open(os.devnull) as null, open(os.devnull, 'w') as out, open(
                folder / 'stderr', 'w') as error:
            for number, file in enumerate((null, out, error)):
                os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = out, error
            try:
                told['status'] = int(function(folder))
            except SystemExit as end:  # argparse
                told['status'] = end.code if isinstance(end.code, int) else 1
            except BaseException:
                told['traceback'] = True
                traceback.print_exc()
            error.flush()
        if tell_modules:
            told['modules'] = list(sys.modules)
        with open(writing, 'w') as file:
            json.dump(told, file)
    finally:
        os._exit(0)


def _bound():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
    size = int(Path('/proc/self/statm').read_text().split()[0])
    most = size * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30, 4 << 30))


def _own_rss():
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * resource.getpagesize()
