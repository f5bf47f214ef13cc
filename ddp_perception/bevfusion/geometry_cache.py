"""A small memory of results that depend on calibration alone."""
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class GeometryCache:
    """Keep the most recently used results, and count hits and misses.

    A copy (``copy.deepcopy``, pickle) starts empty: the entries can be
    computed again and would only make checkpoints and EMA copies heavy.

    Args:
        capacity: entries kept at most; 0 keeps none.

    Raises:
        ValueError: ``capacity`` is negative.
    """

    def __init__(self, capacity: int) -> None:
        """Start empty."""
        if capacity < 0:
            raise ValueError('the capacity of the geometry cache must not be '
                             f'negative, got {capacity}')
        self.capacity = capacity
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """Return the entry of ``key``, computed where it is not there yet."""
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return self._entries[key]
        self.misses += 1
        entry = compute()
        if self.capacity:
            self._entries[key] = entry
            while len(self._entries) > self.capacity:
                self._entries.popitem(last=False)
        return entry

    def clear(self) -> None:
        """Forget every entry; the counts stay."""
        self._entries.clear()

    def __reduce__(self) -> tuple:
        return GeometryCache, (self.capacity,)
