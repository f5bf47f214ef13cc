"""What the pickle of a checkpoint may mention, and what stands for it.

`torch.load(weights_only=True)` admits tensors and plain containers; that
refuses every checkpoint of mmengine's Runner, which also stores its training
curves as `HistoryBuffer` objects, pickled by way of `builtins.getattr`.
Admitting `getattr` would admit everything. Here every name that is called is
a function of ours, which takes what trainers write and nothing else.
"""
from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

import torch

from ddp_perception.checkpoints import numpy_pickles
from ddp_perception.checkpoints.pickle_names import Names, normal_module
from ddp_perception.checkpoints.refusals import RefusedObject
from ddp_perception.checkpoints.tensors import (
    STORAGES,
    ParameterType,
    Storage,
    StorageType,
    TensorBuilder,
    TensorType,
)

_STATISTICS = ('current', 'mean', 'max', 'min')
_TYPES = {'int': int, 'float': float, 'bool': bool, 'str': str, 'list': list,
          'dict': dict, 'tuple': tuple}
_MENTIONED = {
    **{('builtins', name): kind for name, kind in _TYPES.items()},
    ('builtins', 'long'): int, ('builtins', 'unicode'): str,  # in protocol 2
    **{('torch', name): value for name, value in vars(torch).items()
       if isinstance(value, torch.dtype)},
    **{('torch', name): StorageType(dtype) for name, dtype in STORAGES.items()},
    ('torch.storage', 'UntypedStorage'): StorageType(None),
    ('torch', 'Tensor'): TensorType,
    ('torch.nn.parameter', 'Parameter'): ParameterType}
"""Names that are values; none of them can be called."""


class _Curve(numpy_pickles.StandIn):
    """Stands for mmengine's `HistoryBuffer`: two arrays and their length."""

    def __setstate__(self, state: dict) -> None:
        from mmengine.logging import HistoryBuffer
        arrays: list[Any] = [getattr(state[name], 'value', None)
                  for name in ('_log_history', '_count_history')]
        length = state['max_length']
        if type(length) is not int or any(
                getattr(array, 'ndim', 0) != 1 for array in arrays) or len(
                    arrays[0]) != len(arrays[1]):
            raise ValueError('a training curve must have a length and two arrays '
                             'of one size')
        self.value = HistoryBuffer(max_length=length)
        self.value._log_history, self.value._count_history = arrays


def _no_storage(key: str, length: int, location: str) -> NoReturn:
    raise ValueError('a list of names needs no storage')


def _statistic(owner: object, name: str) -> None:
    """Stand for `getattr`: a curve lists its four statistics by it."""
    if owner is not _Curve or name not in _STATISTICS:
        raise RefusedObject(f'getattr({owner!r:.60}, {name!r:.60})')


def _collection(kind: type, *admitted: type) -> Callable:
    """Return a function that makes a collection out of listed items alone."""
    def make(items: object = ()) -> Any:
        if type(items) not in (tuple, list, *admitted):
            raise RefusedObject(f'a {kind.__name__} of {type(items).__name__}')
        return kind(items)
    return make


def _default_dict(factory: type | None = None) -> defaultdict:
    if factory not in (None, *_TYPES.values()):
        raise RefusedObject(f'a defaultdict of {factory!r:.60}')
    return defaultdict(factory)


def _deque(items: Any = (), length: int | None = None) -> deque:
    if type(items) not in (tuple, list) or type(length) not in (int, type(None)):
        raise RefusedObject(f'a deque of {type(items).__name__}')
    return deque(items, length)


def _bytearray(content: bytes | str = b'', encoding: str = 'latin-1') -> bytearray:
    if isinstance(content, str) and encoding == 'latin-1':
        content = content.encode(encoding)
    if not isinstance(content, bytes):
        raise RefusedObject(f'a bytearray of {type(content).__name__}')
    return bytearray(content)


def _size(lengths: object) -> torch.Size:
    return torch.Size(_collection(tuple, torch.Size)(lengths))


def _device(kind: str, index: int | None = None) -> torch.device:
    if not isinstance(kind, str) or type(index) not in (int, type(None)):
        raise RefusedObject(f'the device {kind!r:.40}, {index!r:.40}')
    return torch.device(kind) if index is None else torch.device(kind, index)


def _layout(name: str) -> torch.layout:
    if name != 'torch.strided':
        raise RefusedObject(f'a tensor of layout {name!r:.40}')
    return torch.strided


_CALLED = {
    ('builtins', 'set'): ('r', _collection(set)),
    ('builtins', 'frozenset'): ('r', _collection(frozenset)),
    ('builtins', 'bytearray'): ('r', _bytearray),
    ('builtins', 'getattr'): ('r', _statistic),
    ('collections', 'OrderedDict'): ('rsb', _collection(OrderedDict, dict)),
    ('collections', 'Counter'): ('rs', _collection(Counter, dict)),
    ('collections', 'defaultdict'): ('rs', _default_dict),
    ('collections', 'deque'): ('re', _deque),
    ('torch', 'Size'): ('r', _size),
    ('torch', 'device'): ('r', _device),
    ('torch.serialization', '_get_layout'): ('r', _layout),
    ('mmengine.logging.history_buffer', 'HistoryBuffer'): ('nb', _Curve)}

NAMES = Names({
    **dict.fromkeys(_MENTIONED, ''),
    **{name: letters for name, (letters, _) in _CALLED.items()},
    **dict.fromkeys(TensorBuilder(_no_storage, 0).functions(), 'r'),
    **numpy_pickles.RULES}, storages=True)
"""See `pickle_names.Names`."""


class _Unpickler(pickle.Unpickler):

    def __init__(self, file: BinaryIO, tensors: TensorBuilder) -> None:
        # Python 2 wrote texts as bytes.
        super().__init__(file, encoding='utf-8')
        self._functions, self._tensors = tensors.functions(), tensors

    def find_class(self, module: str, name: str) -> Any:
        key = module, _ = normal_module(module), name
        NAMES.rule(*key)
        if key in numpy_pickles.RULES:
            return numpy_pickles.find(module, name)
        if key in _CALLED:
            return _CALLED[key][1]
        return _MENTIONED[key] if key in _MENTIONED else self._functions[key]

    def persistent_load(self, reference: object) -> Storage:
        return self._tensors.storage(reference)


def read_object(content: bytes, tensors: TensorBuilder) -> Any:
    """Read an audited pickle of a checkpoint.

    Args:
        content: what `audit` passed with `NAMES`.
        tensors: over the storages of the file.

    Raises:
        RefusedObject: a call gets other arguments than trainers give it.
    """
    return numpy_pickles.replace_stand_ins(
        _Unpickler(io.BytesIO(content), tensors).load())
