"""What tests of several operations share."""
import sys

import pytest


@pytest.fixture
def interpreted_triton(monkeypatch):
    """Kernels as Triton's interpreter runs them on the CPU."""
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    # Made anew here, and once more for the next test.
    monkeypatch.delitem(sys.modules, 'ddp_perception.ops.triton_gather_sum', False)
    yield
    sys.modules.pop('ddp_perception.ops.triton_gather_sum', None)
