"""Fixtures of the data set tests."""
import pytest

from data_tools.prepare_nuscenes import prepare

from .tiny_nuscenes import write_tiny_nuscenes


@pytest.fixture(scope='session')
def tiny_root(tmp_path_factory):
    """A tiny nuScenes root with its info files; do not change it."""
    root = write_tiny_nuscenes(tmp_path_factory.mktemp('tiny_nuscenes'))
    prepare(root, 'v1.0-mini', progress=False)
    return root
