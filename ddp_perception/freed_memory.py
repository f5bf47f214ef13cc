"""Keep freed memory in the process for what it allocates next."""
import ctypes
import os

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h
_NEVER, _NO_MAPPINGS = -1, 0
_PAD = 256 * 2 ** 20


def keep_freed_memory() -> bool:
    """Have glibc reuse freed blocks instead of returning them to the kernel.

    A training step on a CPU allocates and frees the same hundreds of MiB of
    activations again and again. By default glibc maps a block above 32 MiB
    anew each time, and hands the free end of its heap back, so that the
    kernel must clear every page again at its first use. What that costs depends
    on the machine (``python -m benchmarks.cpu_training``). Afterwards the process
    keeps what it once needed until it ends.
    See ``man 3 mallopt``.

    Returns:
        Whether it does so now: not with another C library, nor where the
        environment has settings of malloc (``MALLOC_*_``, ``GLIBC_TUNABLES``),
        which are left as they are.
    """
    if 'glibc.malloc' in os.environ.get('GLIBC_TUNABLES', '') or any(
            name.startswith('MALLOC_') and name.endswith('_') for name in os.environ):
        return False
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version
        mallopt = library.mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = ((_M_MMAP_MAX, _NO_MAPPINGS), (_M_TRIM_THRESHOLD, _NEVER),
                (_M_TOP_PAD, _PAD))
    return all([mallopt(*setting) == 1 for setting in settings])
