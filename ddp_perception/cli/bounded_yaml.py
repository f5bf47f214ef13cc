"""Read YAML configurations that neither explode nor run code.

mmengine reads YAML with PyYAML's full loader, which calls whatever a tag names,
and a few lines of aliases stand for more nodes than any memory holds.
"""
from __future__ import annotations

from typing import IO, Any

import yaml
from mmengine.fileio.handlers import YamlHandler
from mmengine.fileio.handlers.registry_utils import file_handlers

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _SafeLoader

MOST_NODES = 100_000
MOST_DEPTH = 100


class _Loader(_SafeLoader):
    """Plain values, and the tuples that mmengine writes."""


_Loader.add_constructor(
    'tag:yaml.org,2002:python/tuple',
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)))


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Args:
        text: One document of plain values, lists and mappings.

    Raises:
        ValueError: aliases and all, it has more than `MOST_NODES` nodes or is
            nested more deeply than `MOST_DEPTH`; or an alias is within what
            it stands for.
        yaml.YAMLError: it is not YAML, or names Python objects.
    """
    _require_bounded(text)
    return yaml.load(text, Loader=_Loader)


def _require_bounded(text: str) -> None:
    """Count the nodes that the aliases stand for, without making them."""
    sizes: dict[str | None, int] = {}  # nodes behind each anchor
    anchors: list[str | None] = ['']  # of the open nodes, from outside in
    counts = [0]  # nodes within each of them
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            anchors.append(event.anchor)
            counts.append(1)
            if len(counts) > MOST_DEPTH + 1:
                raise ValueError(f'line {event.start_mark.line + 1} is nested more '
                                 f'than {MOST_DEPTH} deep')
        elif isinstance(event, yaml.CollectionEndEvent):
            size = counts.pop()
            sizes[anchors.pop()] = size
            counts[-1] += size
        elif isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1
            if event.anchor in anchors:
                raise ValueError(f'line {line}: the alias *{event.anchor} is '
                                 'within what it stands for')
            counts[-1] += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
            counts[-1] += 1
        if sum(counts) > MOST_NODES:
            raise ValueError(f'it stands for more than {MOST_NODES:,} nodes; are '
                             'its aliases meant?')


class BoundedYamlHandler(YamlHandler):
    """Reads YAML for mmengine's `load` and `Config`."""

    def load_from_fileobj(self, file: IO[str]) -> Any:
        """Return the content of an open file; see `load_yaml`."""
        return load_yaml(file.read())


def use_bounded_yaml() -> None:
    """Let mmengine's `load` and `Config` read YAML by `load_yaml` from now on."""
    file_handlers.update(dict.fromkeys(('yaml', 'yml'), BoundedYamlHandler()))
