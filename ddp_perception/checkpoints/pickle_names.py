"""Which names a pickle may mention, and what it may do with each."""
from __future__ import annotations

from collections.abc import Mapping

from ddp_perception.checkpoints.refusals import RefusedObject


class Names:
    """Which names a pickle may mention, and what it may do with each.

    Args:
        rules: by (module, name), letters: ``r`` it may be called, ``n`` made
            without its constructor; the result may be filled by ``e``
            (append), ``s`` (set items) and ``b`` (set its state). No letter:
            it may be mentioned alone.
        storages: whether objects outside the pickle may be referred to.
    """

    def __init__(self, rules: Mapping[tuple[str, str], str],
                 storages: bool = False) -> None:
        self.rules = dict(rules)
        self.storages = storages

    def rule(self, module: str, name: str) -> str:
        """Return the letters of a name.

        Raises:
            RefusedObject: there is no rule for it.
        """
        letters = self.rules.get((normal_module(module), name))
        if letters is None:
            raise RefusedObject(f'{module}.{name}')
        return letters


def normal_module(module: str) -> str:
    """Return today's name of a module: protocol 2 writes that of Python 2."""
    return 'builtins' if module == '__builtin__' else module
