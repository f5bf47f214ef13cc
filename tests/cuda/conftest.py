"""A GPU for the tests of this folder; all of them skip where there is none."""
import os

import pytest
import torch


@pytest.fixture(scope='session')
def gpu():
    """Device of these tests. ``DDP_TEST_DEVICE=cpu`` tries the tests themselves."""
    device = os.environ.get('DDP_TEST_DEVICE', 'cuda')
    if device == 'cuda' and not torch.cuda.is_available():
        pytest.skip('torch sees no GPU')
    return device


@pytest.fixture(autouse=True)
def whole_float32():
    """Compare arithmetic in float32, not cuDNN's TensorFloat-32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before
