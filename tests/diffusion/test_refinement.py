"""How the seconds of a step are measured."""
import time
from types import SimpleNamespace

import pytest
import torch

from ddp_perception.diffusion import clock


@pytest.mark.parametrize('on_gpu', [True, False])
def test_the_clock_is_read_once_a_gpu_is_done(monkeypatch, on_gpu):
    done = []
    monkeypatch.setattr(torch.cuda, 'synchronize', done.append)
    monkeypatch.setattr(time, 'perf_counter', lambda: len(done))
    values = SimpleNamespace(is_cuda=on_gpu, device='cuda:1')
    assert clock(values) == on_gpu
    assert done == ['cuda:1'] * on_gpu
