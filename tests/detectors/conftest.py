"""What the tests of wrapped detectors share."""
import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Let sums have one order: spconv's order depends on its threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
