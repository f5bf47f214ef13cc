"""Read checkpoint files without running code that they may contain.

A pickle names functions and classes that are called while it is read, so a
file from a stranger can do anything. `torch.load(weights_only=True)` admits
tensors and plain containers; that refuses every checkpoint of mmengine's
Runner, which also stores its training curves as `HistoryBuffer` objects,
pickled by way of `builtins.getattr`. Admitting `getattr` would admit
everything. Here a name is looked up in a fixed table, and `getattr` answers
for the four statistics of `HistoryBuffer` alone.
"""
import os
import pickle
from pathlib import Path

import torch

from ddp_perception.checkpoints.refusals import RefusedObject
from ddp_perception.checkpoints.writing import read_safetensors

_ALLOWED = {
    'builtins': {'set', 'frozenset', 'slice', 'complex', 'bytearray', 'range',
                 'int', 'float', 'bool', 'str', 'list', 'dict', 'tuple'},
    'collections': {'OrderedDict', 'defaultdict', 'Counter', 'deque'},
    'torch': {'Size', 'device', 'dtype', 'Tensor'},
    'torch._tensor': {'_rebuild_from_type_v2'},
    'torch._utils': {
        '_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_parameter',
        '_rebuild_parameter_with_state', '_rebuild_sparse_tensor'},
    'torch.nn.parameter': {'Parameter'},
    'torch.serialization': {'_get_layout'},
    'torch.storage': {'UntypedStorage', 'TypedStorage'},
    'numpy': {'dtype', 'ndarray'},
    'numpy.core.multiarray': {'scalar', '_reconstruct'},
    'numpy._core.multiarray': {'scalar', '_reconstruct'},
    '_codecs': {'encode'},
    'mmengine.logging.history_buffer': {'HistoryBuffer'},
}
_STATISTICS = ('current', 'mean', 'max', 'min')


def _statistic(owner, name):
    """Stand for `getattr` while a `HistoryBuffer` is read."""
    from mmengine.logging.history_buffer import HistoryBuffer
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise RefusedObject(f'getattr({owner!r}, {name!r})')
    return getattr(owner, name)


class _Unpickler(pickle.Unpickler):

    def find_class(self, module, name):
        if module == '__builtin__':  # as protocol 2, torch's, writes it
            module = 'builtins'
        if (module, name) == ('builtins', 'getattr'):
            return _statistic
        if module == 'torch' and name.endswith('Storage') and name.isalpha():
            return super().find_class(module, name)
        if module == 'torch' and isinstance(getattr(torch, name, None),
                                            torch.dtype):
            return getattr(torch, name)
        if name not in _ALLOWED.get(module, ()):
            raise RefusedObject(f'{module}.{name}')
        return super().find_class(module, name)


class _SafePickle:
    """What `torch.load` wants of a ``pickle_module``."""

    __name__ = 'ddp_perception.checkpoints.reading'
    Unpickler = _Unpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file, **kwargs):
        return _Unpickler(file, **kwargs).load()


def load_checkpoint_file(path, map_location='cpu', trusted: bool = False):
    """Read a checkpoint from a local file.

    Args:
        path: file that `torch.save`, mmengine's Runner or another trainer
            wrote, or a ``.safetensors`` file; ``~`` stands for the home
            folder.
        map_location: where tensors go, as in `torch.load`.
        trusted: admit any Python object. Such a file can run any code while
            it is read: only for files whose origin you trust.

    Returns:
        What was saved, usually a dictionary.

    Raises:
        FileNotFoundError: there is no such file.
        RefusedObject: the file holds something else than tensors, plain
            containers, numbers and mmengine's training curves, and is not
            trusted. The message names the object.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    if path.suffix == '.safetensors':
        return read_safetensors(path, map_location or 'cpu')
    if trusted:
        return torch.load(path, map_location=map_location, weights_only=False)
    try:
        return torch.load(path, map_location=map_location, weights_only=False,
                          pickle_module=_SafePickle)
    except RefusedObject as error:
        raise RefusedObject(
            f'{path} holds the Python object {error}, which could run code '
            'while it is read. If you trust the origin of this file, pass '
            '--trust-checkpoint (or trusted=True)') from None
