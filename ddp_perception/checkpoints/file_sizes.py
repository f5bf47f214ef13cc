"""Which files are too large to be read."""
import os
from pathlib import Path

from ddp_perception.checkpoints.refusals import require_regular

MOST_MEGABYTES = 512
MOST_MEGABYTES_OF_LISTS = 4096
_LISTS = ('.pkl', '.pickle', '.json')


def require_bounded_file(path: str | Path) -> None:
    """Raise unless a local path is a regular file of a sensible size.

    A point cloud or an image may have `MOST_MEGABYTES`, a list of samples
    (.json, .pkl) `MOST_MEGABYTES_OF_LISTS`; the environment's
    DDP_MAX_MEGABYTES replaces both.

    Args:
        path: May be missing; reading it says so.

    Raises:
        ValueError: it is no regular file, or too large; names it.
    """
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # missing, or a name that no disk can hold
        return
    require_regular(state, path)
    default = (MOST_MEGABYTES_OF_LISTS if str(path).lower().endswith(_LISTS)
               else MOST_MEGABYTES)
    most = limit_of('DDP_MAX_MEGABYTES', default)
    if state.st_size > most * 1e6:
        raise ValueError(
            f'{path} has {state.st_size / 1e6:,.0f} MB, more than the {most:g} MB '
            'that are read; DDP_MAX_MEGABYTES in the environment raises this')


def limit_of(name: str, default: float) -> float:
    """Return a bound that a variable of the environment may set.

    Raises:
        ValueError: it is no positive number; names it.
    """
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.
    if not value > 0:
        raise ValueError(f'{name} must be a positive number, got {text!r}')
    return value
