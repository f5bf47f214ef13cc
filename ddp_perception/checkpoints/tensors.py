"""Build the tensors of a checkpoint over bytes that its file really has."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ddp_perception.checkpoints.refusals import RefusedObject

_LEAST_SPREAD = 1 << 28
_SPREAD = 8
"""A view may repeat its numbers; all together at most this often."""
_DTYPES = {'Double': torch.double, 'Float': torch.float, 'Half': torch.half,
           'BFloat16': torch.bfloat16, 'Long': torch.long, 'Int': torch.int,
           'Short': torch.short, 'Char': torch.int8, 'Byte': torch.uint8,
           'Bool': torch.bool, 'ComplexFloat': torch.cfloat,
           'ComplexDouble': torch.cdouble}
STORAGES = {f'{name}Storage': dtype for name, dtype in _DTYPES.items()}
"""Types of numbers by the name of their storage in module torch."""


@dataclass(frozen=True)
class StorageType:
    """Stands for a class of storages; dtype None for one of bytes."""

    dtype: torch.dtype | None


@dataclass(frozen=True)
class Storage:
    """Bytes that tensors share.

    Args:
        content: (N,) uint8, on the device where the tensors go.
        dtype: type of its numbers; None for bytes.
    """

    content: Tensor
    dtype: torch.dtype | None


class TensorType:
    """Stands for `torch.Tensor` where a file names the class."""


class ParameterType(TensorType):
    """Stands for `torch.nn.Parameter`."""


class TensorBuilder:
    """What a pickle calls to get tensors, over storages of one file.

    Args:
        read: from the key and the size in bytes of a storage, and the device
            in the file, to its (N,) uint8 tensor. Raises ValueError where the
            file has another size.
        file_size: in bytes; bounds what all views together may stand for.
    """

    def __init__(self, read: Callable[[str, int, str], Tensor], file_size: int) -> None:
        self._read = read
        self._storages: dict[str, Tensor] = {}
        self._left = max(_LEAST_SPREAD, _SPREAD * file_size)
        self.claims: dict[str, tuple[int, int]] = {}

    def functions(self) -> dict:
        """Return the functions by (module, name)."""
        rebuild = {'_rebuild_tensor': self._tensor, '_rebuild_tensor_v2': self._tensor,
                   '_rebuild_tensor_v3': self._typed_tensor,
                   '_rebuild_parameter': self._parameter,
                   '_rebuild_parameter_with_state': self._parameter}
        return {**{('torch._utils', name): call for name, call in rebuild.items()},
                ('torch._tensor', '_rebuild_from_type_v2'): self._from_type}

    def storage(self, reference: object) -> Storage:
        """Return the storage that a pickle refers to."""
        kind, storage_type, key, location, count, *view = (
            reference if isinstance(reference, tuple) and len(reference) in (5, 6)
            else (None, ) * 5)
        if (kind != 'storage' or not isinstance(storage_type, StorageType)
                or not isinstance(key, str) or not isinstance(location, str)
                or type(count) is not int or count < 0):
            raise RefusedObject(f'a reference to {kind!r:.40} outside its pickle')
        if any(view):
            raise ValueError('a storage is a part of another one, as torch has not '
                             'written them since 0.4')
        size = count * (storage_type.dtype or torch.uint8).itemsize
        if self.claims.setdefault(key, (count, size))[1] != size:
            raise ValueError(f'storage {key} has {self.claims[key][1]} bytes and also '
                             f'{size}')
        if key not in self._storages:
            self._storages[key] = self._read(key, size, location)
        return Storage(self._storages[key], storage_type.dtype)

    def _tensor(self, storage: Any, offset: int, size: Any, stride: Any,
                requires_grad: bool = False, hooks: object = None,
                metadata: object = None) -> Tensor:
        return self._build(storage, offset, size, stride, requires_grad,
                           getattr(storage, 'dtype', None))

    def _typed_tensor(self, storage: Any, offset: int, size: Any, stride: Any,
                      requires_grad: bool, hooks: object, dtype: Any,
                      metadata: object = None) -> Tensor:
        return self._build(storage, offset, size, stride, requires_grad, dtype)

    def _build(self, storage: Any, offset: int, size: Any, stride: Any,
               requires_grad: bool, dtype: Any) -> Tensor:
        if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
            raise RefusedObject('a tensor without a storage')
        size, stride = tuple(size), tuple(stride)
        numbers = (offset, *size, *stride)
        if (len(size) != len(stride) or len(size) > 64
                or not all(type(number) is int for number in numbers)
                or min(numbers) < 0 or max(numbers) >= 1 << 62):
            raise ValueError(f'a tensor has shape {size!r:.60}, strides '
                             f'{stride!r:.60} and offset {offset!r:.20}')
        count = 1
        for length in size:
            count *= length
        last = offset + sum((n - 1) * step for n, step in zip(size, stride))
        if count and (last + 1) * dtype.itemsize > len(storage.content):
            raise ValueError(f'a tensor of shape {size!r:.60} lies outside its '
                             f'storage of {len(storage.content)} bytes')
        self._left -= count * dtype.itemsize
        if self._left < 0:
            raise RefusedObject('tensors that repeat their numbers far beyond the '
                                'size of the file')
        tensor = torch.empty(0, dtype=dtype, device=storage.content.device)
        tensor.set_(storage.content.untyped_storage(), offset, size, stride)
        return tensor.requires_grad_(requires_grad is True)

    def _parameter(self, data: Any, requires_grad: bool, hooks: object,
                   state: object = None) -> nn.Parameter:
        if not isinstance(data, Tensor):
            raise RefusedObject('a parameter that is no tensor')
        return torch.nn.Parameter(data.detach(), requires_grad is True)

    def _from_type(self, function: Any, kind: Any, arguments: Any,
                   state: object) -> Tensor:
        """Build a tensor that had attributes, without them."""
        if function not in self.functions().values() or function == self._from_type:
            raise RefusedObject(f'a tensor built by {function!r:.60}')
        if not isinstance(kind, type) or not issubclass(kind, TensorType):
            raise RefusedObject(f'a tensor of type {kind!r:.60}')
        tensor = function(*arguments)
        if kind is ParameterType and not isinstance(tensor, torch.nn.Parameter):
            tensor = torch.nn.Parameter(tensor.detach(), tensor.requires_grad)
        return tensor
