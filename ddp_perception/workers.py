"""Processes that work for another one."""
from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Let this process end as soon as the one that started it has ended.

    For the ``initializer`` of a pool: workers of a killed process would go on with
    what they were given, and nobody would read the result.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return  # nobody's worker

    def wait() -> None:
        parent.join()
        os._exit(1)
    threading.Thread(target=wait, daemon=True).start()
