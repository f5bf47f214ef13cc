"""What tests of several operations share."""
import sys

import pytest


@pytest.fixture
def interpreted_triton(monkeypatch):
    """Kernels as Triton's interpreter runs them on the CPU."""
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    # Made anew here, and once more for the next test.
    modules = [f'ddp_perception.ops.triton_{name}' for name in (
        'gather_sum', 'map_sampling', 'parts')]
    for module in modules:
        monkeypatch.delitem(sys.modules, module, False)
    yield
    for module in modules:
        sys.modules.pop(module, None)
