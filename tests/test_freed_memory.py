import os
import subprocess
import sys

import pytest

# Page faults of blocks that are allocated, touched and freed, after a first one.
COUNT = """
import resource, sys
import numpy as np

def run():
    from mmengine.config import Config
    from ddp_perception.cli.runner import prepare_process
    return prepare_process(Config())

def kept():
    from ddp_perception.freed_memory import keep_freed_memory
    return keep_freed_memory()

kept = {'default': lambda: None, 'kept': kept, 'run': run}[sys.argv[1]]()
np.ones(48 * 2 ** 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(48 * 2 ** 20, np.uint8)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(which, **variables):
    names = [name for name in os.environ
             if name.startswith('MALLOC_') or name == 'GLIBC_TUNABLES']
    environment = {name: value for name, value in os.environ.items()
                   if name not in names}
    done = subprocess.run([sys.executable, '-c', COUNT, which], check=True, text=True,
                          env={**environment, **variables}, stdout=subprocess.PIPE)
    said, faults = done.stdout.split()
    return said, int(faults)


@pytest.mark.skipif('CS_GNU_LIBC_VERSION' not in os.confstr_names,
                    reason='malloc of glibc alone is told to keep memory')
@pytest.mark.parametrize('how, wanted', [('kept', 'True'), ('run', 'None')])
def test_freed_blocks_are_used_again_without_a_page_fault(how, wanted):
    _, before = _faults('default')
    said, after = _faults(how)
    assert said == wanted
    assert before > 8 * 48 * 2 ** 20 // 2 ** 21  # a fault per page, be pages huge
    assert after < before / 10


@pytest.mark.parametrize('variables', [
    {'MALLOC_MMAP_MAX_': '65536'}, {'GLIBC_TUNABLES': 'glibc.malloc.mmap_max=65536'}])
def test_settings_of_the_environment_stay(variables):
    said, faults = _faults('kept', **variables)
    assert said == 'False'
    assert faults >= _faults('default', **variables)[1] / 2 > 8
