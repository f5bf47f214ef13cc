"""Time and weigh one implementation against a baseline, in one run.

Both candidates must first give equal outputs. They are then called in turns,
and the turn that goes first alternates, so that a slow spell of the machine
hits both. A median over the rounds is reported.

Peak extra memory is what a call needs on top of what was resident before it,
its result included. On a GPU it is the growth of
``torch.cuda.max_memory_allocated``. On a CPU it is the growth of the kernel's
high-water mark of resident memory (``VmHWM``): free heap is handed back with
``malloc_trim`` and the mark is reset through ``/proc/self/clear_refs`` before
the call, so every allocator counts, not only PyTorch's. Where the kernel does
not offer that, a thread samples the resident size every 0.2 ms instead.
"""
import ctypes
import gc
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_PAGE = os.sysconf('SC_PAGE_SIZE')
MORE = 5
"""Times the rounds of calls that are short, or where both take nearly as long."""


def compare(name: str, ours: Callable[[], Any], baseline: Callable[[], Any], *,
            rounds: int = 10, warmup: int = 2,
            check: Callable[[Any, Any], None] | None = None,
            device: str | torch.device = 'cpu',
            dtype: torch.dtype | str = 'float32') -> dict:
    """Assert equal outputs, then time both candidates in turns.

    Args:
        name: of the case, for the report.
        ours: the implementation under test, called without arguments.
        baseline: what it is measured against.
        rounds: timed calls of each candidate.
        warmup: untimed calls of each candidate before them.
        check: called as ``check(ours(), baseline())`` before any timing, must
            raise where the outputs differ. By default
            ``torch.testing.assert_close`` with rtol = atol = 1e-4.
        device: where the candidates run.
        dtype: of their arithmetic, for the report.

    Returns:
        name, device, dtype, threads, rounds, ours_s, baseline_s (median seconds),
        ratio (baseline_s / ours_s), ours_peak_mib, baseline_peak_mib.

    Raises:
        ValueError: ``rounds`` is below 1 or ``warmup`` negative.
        AssertionError: the outputs differ.
    """
    if rounds < 1 or warmup < 0:
        raise ValueError('rounds must be at least 1 and warmup at least 0, '
                         f'got {rounds} and {warmup}')
    device = torch.device(device)
    (check or _close)(ours(), baseline())
    for _ in range(warmup):
        ours()
        baseline()
    seconds: dict[str, list[float]] = {'ours': [], 'baseline': []}
    turns = [('ours', ours), ('baseline', baseline)]
    for _ in range(rounds):
        for key, candidate in turns:
            seconds[key].append(_seconds(candidate, device))
        turns.reverse()
    ours_s = statistics.median(seconds['ours'])
    baseline_s = statistics.median(seconds['baseline'])
    return {
        'name': name, 'device': device_name(device),
        'dtype': str(dtype).removeprefix('torch.'),
        'threads': torch.get_num_threads(), 'rounds': rounds,
        'ours_s': ours_s, 'baseline_s': baseline_s,
        'ratio': baseline_s / ours_s,
        'ours_peak_mib': peak_mib(ours, device),
        'baseline_peak_mib': peak_mib(baseline, device),
    }


def report(results: dict | list[dict]) -> list[dict]:
    """Print each case in words, then everything as JSON on the last line.

    Returns:
        The cases.
    """
    cases = results if isinstance(results, list) else [results]
    for case in cases:
        print(f'{case["name"]} ({case["device"]}, {case["dtype"]}, '
              f'{case["threads"]} threads): ours {case["ours_s"] * 1e3:.2f} ms'
              f' and {case["ours_peak_mib"]:.1f} MiB, baseline '
              f'{case["baseline_s"] * 1e3:.2f} ms and '
              f'{case["baseline_peak_mib"]:.1f} MiB, '
              f'{case["ratio"]:.2f}x as fast')
    print(json.dumps(results), flush=True)
    return cases


def peak_mib(candidate: Callable[[], Any], device: str | torch.device = 'cpu',
             repeats: int = 3) -> float:
    """Return the median peak extra memory of a call in MiB."""
    device = torch.device(device)
    if device.type == 'cuda':
        measure = _peak_bytes_cuda
    elif _reset_high_water_mark():
        measure = _peak_bytes_high_water
    else:
        measure = _peak_bytes_sampled
    peaks = [measure(candidate, device) for _ in range(repeats)]
    return statistics.median(peaks) / 2 ** 20


def _close(ours, baseline):
    torch.testing.assert_close(ours, baseline, rtol=1e-4, atol=1e-4)


@contextmanager
def whole_float32() -> Iterator[None]:
    """Keep cuDNN from TensorFloat-32 meanwhile, which torch lets it use."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def device_name(device):
    """Return what a device is called in a report."""
    device = torch.device(device)
    if device.type == 'cuda':
        return f'cuda ({torch.cuda.get_device_name(device)})'
    return device.type


def synchronize(device):
    """Wait until a GPU has done what it was told."""
    device = torch.device(device)
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _seconds(candidate, device):
    synchronize(device)
    start = time.perf_counter()
    result = candidate()
    synchronize(device)
    elapsed = time.perf_counter() - start
    del result  # freed after the clock has stopped
    return elapsed


def _peak_bytes_cuda(candidate, device):
    synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    candidate()
    synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def release_free_heap():
    """Hand what is not in use back to the system."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another libc: the heap may be reused
        pass


def _reset_high_water_mark():
    try:
        with open('/proc/self/clear_refs', 'w') as refs:
            refs.write('5')
    except OSError:
        return False
    return True


def _status_bytes(field):
    with open('/proc/self/status') as status:
        for line in status:
            if line.startswith(field + ':'):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f'/proc/self/status has no {field}')


def high_water_bytes():
    """Return the most memory that this process has had resident."""
    return _status_bytes('VmHWM')


def _peak_bytes_high_water(candidate, device):
    release_free_heap()
    _reset_high_water_mark()
    before = _status_bytes('VmRSS')
    result = candidate()
    peak = high_water_bytes()
    del result
    return max(peak - before, 0)


def resident_bytes():
    """Return the memory that this process has resident."""
    with open('/proc/self/statm') as statm:
        return int(statm.read().split()[1]) * _PAGE


def _peak_bytes_sampled(candidate, device):
    release_free_heap()
    done = threading.Event()
    samples = [resident_bytes()]

    def sample():
        while not done.wait(2e-4):
            samples.append(resident_bytes())

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        result = candidate()
        samples.append(resident_bytes())
    finally:
        done.set()
        sampler.join()
    del result
    return max(samples) - samples[0]
