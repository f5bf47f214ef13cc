"""Fixtures and limits that every test shares."""
import os
import sys

# Processes that share the tests take a core each.
_THREADS = int(os.environ.get(
    'OMP_NUM_THREADS', 1 if 'PYTEST_XDIST_WORKER' in os.environ else 2))
os.environ.setdefault('MPLBACKEND', 'Agg')
os.environ.setdefault('OMP_NUM_THREADS', str(_THREADS))
# Nothing here may wait for a network that is not there.
os.environ.setdefault('HF_HUB_OFFLINE', '1')

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(_THREADS)
# A loader that goes waits this many seconds for each worker that is kept.
torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL = 0.2

ROOT = Path(__file__).resolve().parents[1]


def _beside_the_project(name, purpose):
    path = ROOT.parent / 'shared' / name
    if not path.is_dir():
        pytest.skip(f'{purpose} are not part of the repository and no '
                    f'../shared/{name} lies beside it')
    return path


def _global_state():
    """Dictionaries in which mmengine keeps what holds for a whole process."""
    if 'mmengine.runner.checkpoint' not in sys.modules:
        return []
    from mmengine.fileio.handlers.registry_utils import file_handlers
    from mmengine.registry import DefaultScope
    from mmengine.runner.checkpoint import CheckpointLoader
    return [DefaultScope._instance_dict, file_handlers, CheckpointLoader._schemes]


@pytest.fixture(autouse=True)
def process_as_it_was():
    """Undo what a test leaves to the process, so that any order of tests will do.

    A default scope, for one, changes which classes a configuration means.
    """
    before = [state.copy() for state in _global_state()]
    yield
    after = _global_state()
    if after and not before:  # mmengine was loaded meanwhile
        before = [{}, *(state.copy() for state in after[1:])]
    for state, content in zip(after, before, strict=True):
        state.clear()
        state.update(content)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """A test needs its files, not that they outlast a power cut."""
    monkeypatch.setattr(os, 'fsync', lambda descriptor: None)


@pytest.fixture(scope='session')
def reference_dir():
    """Folder with the golden numbers of the published implementation."""
    return _beside_the_project('reference', 'the golden numbers')


@pytest.fixture(scope='session')
def real_dir():
    """Folder with one real frame of each data set."""
    return _beside_the_project('real', 'real frames')


@pytest.fixture(scope='session')
def repository_dir():
    """Root of the checkout, for tests that read its files."""
    return ROOT


@pytest.fixture(scope='session')
def synthetic_root(tmp_path_factory):
    """Tiny synthetic nuScenes root; see `tests/synthetic.py`. Do not write."""
    from tests.synthetic import make_synthetic_root
    return make_synthetic_root(
        tmp_path_factory.mktemp('synthetic') / 'nuscenes')


@pytest.fixture(scope='session')
def synthetic_infos(synthetic_root, tmp_path_factory):
    """Info files of `synthetic_root` by split, in a folder of their own."""
    from data_tools.prepare_nuscenes import prepare
    return prepare(synthetic_root, 'v1.0-mini', progress=False,
                   out_dir=tmp_path_factory.mktemp('synthetic_infos'))


@pytest.fixture(scope='session')
def custom_root(tmp_path_factory):
    """Tiny synthetic folder of a rig of its own; do not write."""
    from tests.synthetic import make_synthetic_custom
    return make_synthetic_custom(tmp_path_factory.mktemp('synthetic') / 'custom')
