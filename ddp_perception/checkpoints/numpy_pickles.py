"""NumPy arrays from a pickle, without NumPy's own way of reading them.

`numpy.dtype` takes any state from a pickle, also one by which bytes of the
file count as addresses of Python objects. So stand-ins take the states, build
arrays of numbers and texts from them, and are replaced afterwards.
"""
import math
import re
from collections import OrderedDict, deque
from typing import Any

import numpy as np

from ddp_perception.checkpoints.refusals import RefusedObject

_TYPES = re.compile(r'[?bBhHiIlLqQefdgFD]|[biufc](1|2|4|8|16)|[SU]\d{1,6}')

RULES = {('numpy', 'dtype'): 'rb', ('numpy', 'ndarray'): '',
         ('_codecs', 'encode'): 'r', ('builtins', 'bytes'): 'r',
         **{(f'numpy.{core}.multiarray', name): letters
            for core in ('core', '_core')
            for name, letters in (('_reconstruct', 'rb'), ('scalar', 'r'))},
         **{(f'numpy.{core}.numeric', '_frombuffer'): 'r'
            for core in ('core', '_core')}}
"""See `pickle_names.Names`."""


class StandIn:
    """What becomes a NumPy object; `value` once its state was set."""

    value: Any = None


class _Type(StandIn):
    """Stands for `numpy.dtype`."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not isinstance(code, str) or not _TYPES.fullmatch(code):
            raise RefusedObject(f'a NumPy array of type {code!r:.40}')
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _, order, *rest = state
        if order not in ('<', '>', '=', '|') or rest[:3] != [None] * 3:
            raise RefusedObject('a NumPy array of records')
        self.value = self.value.newbyteorder(order)


class _Array(StandIn):
    """Stands for `numpy.ndarray`."""

    def __init__(self, kind: object, shape: tuple[int, ...], code: object) -> None:
        if kind is not _Array:
            raise RefusedObject('a subclass of NumPy arrays')

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, content = state
        self.value = _array(content, kind, shape, 'F' if fortran else 'C')


def _array(content: object, kind: object, shape: tuple[int, ...],
           order: Any) -> np.ndarray:
    if not isinstance(kind, _Type) or not isinstance(content, (bytes, bytearray)):
        raise RefusedObject('a NumPy array of Python objects')
    if (type(shape) is not tuple or len(shape) > 32
            or not all(type(n) is int and n >= 0 for n in shape)
            or math.prod(shape) * kind.value.itemsize != len(content)):
        raise ValueError(f'a NumPy array of shape {shape!r:.60} and type '
                         f'{kind.value} holds {len(content)} bytes')
    if not content:
        return np.empty(shape, kind.value, order)
    # A copy: arrays over `bytes` cannot be written to.
    return np.frombuffer(content, kind.value).reshape(shape, order=order).copy(order)


def _scalar(kind: object, content: object) -> Any:
    if not isinstance(kind, _Type) or not isinstance(content, bytes):
        raise RefusedObject('a NumPy scalar of Python objects')
    return _array(content, kind, (), 'C')[()]


def _frombuffer(content: object, kind: object, shape: tuple[int, ...],
                order: str) -> np.ndarray:
    if order not in ('C', 'F'):
        raise ValueError(f'a NumPy array in order {order!r:.20}')
    return _array(content, kind, shape, order)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise RefusedObject(f'_codecs.encode to {encoding!r:.20}')
    return text.encode('latin1')


def _no_bytes() -> bytes:
    return b''


def find(module: str, name: str) -> Any:
    """Return what stands for one of the names in `RULES`."""
    return {'dtype': _Type, 'ndarray': _Array, '_reconstruct': _Array,
            'scalar': _scalar, '_frombuffer': _frombuffer, 'encode': _encode,
            'bytes': _no_bytes}[name]


def replace_stand_ins(content: Any) -> Any:
    """Put NumPy objects where their stand-ins are.

    Args:
        content: nested lists, dictionaries, tuples and so on; changed in place.

    Returns:
        The content, or what stands for it.

    Raises:
        RefusedObject: a dictionary has other attributes than the ``_metadata``
            of a state dict.
    """
    return _Replacing().visit(content)


class _Replacing:

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Any, Any]] = {}

    def visit(self, node: Any) -> Any:  # no deeper than the audit admits
        if isinstance(node, StandIn):
            return node.value
        if not isinstance(node, (list, dict, tuple, deque)):
            return node
        known = self.seen.get(id(node))
        if known is None:  # kept with its node: an id is reused after its end
            self.seen[id(node)] = known = (node, self.renewed(node))
        return known[1]

    def renewed(self, node: Any) -> Any:
        if type(node) is tuple:
            items = tuple(map(self.visit, node))
            return node if all(a is b for a, b in zip(items, node)) else items
        if isinstance(node, (list, deque)):
            for place, item in enumerate(node):
                self.update(node, place, item)
        elif isinstance(node, dict):
            for key, item in list(node.items()):
                self.update(node, key, item)
        if isinstance(node, OrderedDict):
            for name, item in vars(node).items():
                if name != '_metadata' or not isinstance(item, dict):
                    raise RefusedObject(f'a dictionary with the attribute {name!r:.40}')
                self.visit(item)
        return node

    def update(self, owner: Any, key: Any, item: Any) -> None:
        new = self.visit(item)
        if new is not item:
            owner[key] = new
