"""Measure a case in a process of its own, where nothing else has been allocated."""
import json
import subprocess
import sys


def measure_alone(module, case, options):
    """Run ``python -m benchmarks.MODULE --case CASE OPTIONS``.

    Args:
        module: name of a benchmark that has ``--case``.
        case: one of its cases.
        options: further arguments, as text.

    Returns:
        What its last line says, which is JSON.

    Raises:
        SystemExit: the process failed; what it said went to standard error.
    """
    done = subprocess.run([sys.executable, '-m', f'benchmarks.{module}', '--case', case,
                           *options], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f'case {case!r} ended with status {done.returncode}')
    return json.loads(done.stdout.splitlines()[-1])


def require_equal(found, case, other, keys=('loss', 'gradient_norm')):
    """Raise AssertionError where two cases differ by more than 1/1000.

    Args:
        found: figures by name of each case.
        case, other: names of two cases; the second is what it should be.
        keys: the figures that count.
    """
    for key in keys:
        one, wanted = found[case][key], found[other][key]
        if abs(one - wanted) > 1e-3 * abs(wanted):
            raise AssertionError(f'{key} of {case!r}: {one}, of {other!r}: {wanted}')
