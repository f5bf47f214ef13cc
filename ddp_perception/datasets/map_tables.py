"""The records of a map expansion file, checked and joined to outlines."""
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from .crossings import count_crossings
from .record_checks import Records, shown, table_of
from .value_kinds import Number, Text, Texts

MOST_CROSSINGS = 1000
"""How often one outline may meet itself. Repair and clipping take a time that
grows faster than the square of the crossings: a third of a second for this many,
half a minute for 15,000."""

MOST_CROSSINGS_OF_MAP = 3000
"""How often the outlines of a file may meet themselves, all together."""

_COORDINATE = Number()

_Point = tuple[float, float]


class MapTables:
    """Give the outlines of each layer of a map expansion.

    Args:
        records: The parsed JSON, or `NuScenesMap.json_obj`.
        layers: Layers that will be asked for.

    Raises:
        ValueError: the version is below 1.3, a table is missing or not a list of
            records, a node has no usable coordinates (see `FARTHEST`), or a
            token occurs twice with different content. The methods raise it for
            what they read. Names table, record and field.
    """

    def __init__(self, records: Any, layers: Sequence[str]) -> None:
        if not isinstance(records, dict):
            raise ValueError('a map expansion must be an object of tables, got '
                             f'{shown(records)}')
        version = str(records.get('version', '1.0'))
        if _version(version) < (1, 3):
            raise ValueError('map expansion version must be at least 1.3, got '
                             f'{version[:60]}')
        wanted = ('node', 'line', 'polygon', *layers)
        missing = [table for table in wanted if table not in records]
        if missing:
            raise ValueError(f'map expansion lacks the tables {missing}')
        self._layers = {layer: table_of(records[layer], layer) for layer in layers}
        nodes = table_of(records['node'], 'node')
        x, y = (nodes.check(axis, _COORDINATE) for axis in 'xy')
        tokens = _unique_tokens(nodes)
        self._nodes: dict[str, _Point] = dict(
            zip(tokens, zip(x, y, strict=True), strict=True))
        self._shapes: dict[str, dict[str, dict[str, Any]]] = {}
        for table in ('line', 'polygon'):
            shapes = table_of(records[table], table)
            self._shapes[table] = dict(zip(_unique_tokens(shapes), shapes.items,
                                           strict=True))
        self._crossings = 0

    def lines(self, layer: str) -> list[tuple[str, list[_Point]]]:
        """Return the lines of a layer.

        Returns:
            What to call each in a message, and its points (x, y) in metres;
            each line once.
        """
        lines = self._shapes_of(layer, 'line')
        lines.check('node_tokens', Texts())
        return [(lines.name(index), self._points(lines, index, line['node_tokens'],
                                                 'node_tokens'))
                for index, line in enumerate(lines.items)]

    def polygons(self, layer: str
                 ) -> list[tuple[str, list[_Point], list[list[_Point]]]]:
        """Return the polygons of a layer.

        Returns:
            What to call each in a message, the points of its exterior and those of
            its holes; each polygon once.
        """
        polygons = self._shapes_of(layer, 'polygon')
        polygons.check('exterior_node_tokens', Texts())
        polygons.children('holes').check('node_tokens', Texts())
        result = []
        for index, polygon in enumerate(polygons.items):
            exterior = self._points(polygons, index,
                                    polygon['exterior_node_tokens'],
                                    'exterior_node_tokens')
            holes = [self._points(polygons, index, hole['node_tokens'], 'holes')
                     for hole in polygon['holes']]
            result.append((polygons.name(index), exterior, holes))
        return result

    def require_few_crossings(self, name: str, rings: Sequence[ArrayLike]) -> None:
        """Check an outline that is known to meet itself.

        Args:
            name: What to call it.
            rings: Its points; closed where the first is
                repeated at the end.

        Raises:
            ValueError: it meets itself too often, or those before it did.
        """
        count = count_crossings(rings, MOST_CROSSINGS)
        self._crossings += count
        if count > MOST_CROSSINGS:
            raise ValueError(
                f'{name}: its outline crosses or touches itself at more than '
                f'{MOST_CROSSINGS} places; its nodes are probably out of order')
        if self._crossings > MOST_CROSSINGS_OF_MAP:
            raise ValueError(
                f'{name}: up to here outlines cross or touch themselves at more '
                f'than {MOST_CROSSINGS_OF_MAP} places; their nodes are probably '
                'out of order')

    def _shapes_of(self, layer: str, table: str) -> Records:
        """Return the lines or polygons that a layer refers to, each once."""
        records = self._layers[layer]
        if layer == 'drivable_area':  # one record, many polygons
            field, groups = 'polygon_tokens', records.check('polygon_tokens', Texts())
        else:
            field = f'{table}_token'
            groups = [[token] for token in records.check(field, Text())]
        owners: dict[str, int] = {}
        for index, group in enumerate(groups):
            for token in group:
                owners.setdefault(token, index)
        shapes = self._shapes[table]
        for token, index in owners.items():
            if token not in shapes:
                raise ValueError(f'{records.at(index, field)} names the {table} '
                                 f'{shown(token)}, which is not in the file')
        tokens = list(owners)

        def name(index: int) -> str:
            return f'{records.name(owners[tokens[index]])}: {table} ' + (
                f'(token {shown(tokens[index])})')

        return Records([shapes[token] for token in tokens], name)

    def _points(self, shapes: Records, index: int, tokens: Sequence[str],
                field: str) -> list[_Point]:
        try:
            return [self._nodes[token] for token in tokens]
        except KeyError as error:
            raise ValueError(f'{shapes.at(index, field)} names the node '
                             f'{shown(error.args[0])}, which is not in the file'
                             ) from None


def _unique_tokens(table: Records) -> list[str]:
    """Return the tokens of a table; the last record of a token counts."""
    tokens = table.check('token', Text())
    if len(set(tokens)) < len(tokens):
        seen: dict[str, int] = {}
        for index, token in enumerate(tokens):
            before = seen.setdefault(token, index)
            if table.items[before] != table.items[index]:
                raise ValueError(f'{table.name(index)} has the token of record '
                                 f'{before}, but other content')
    return tokens


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split('.')
                 if part.isdecimal() and len(part) < 10)
