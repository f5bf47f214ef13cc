"""Find the parts of a checkpoint that torch wrote before 1.6: pickles in a row.

After a number that marks the format, its version and facts of the machine
come the object, the keys of its storages, and these as they are in memory.
"""
import mmap

from ddp_perception.checkpoints.pickle_audit import audit
from ddp_perception.checkpoints.pickle_names import Names

_MARK = b'\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_PLAIN = Names({})


def is_legacy(data: mmap.mmap | bytes) -> bool:
    """Tell whether a file begins as torch's old format does."""
    return bytes(data[:1]) == b'\x80' and bytes(data[2:2 + len(_MARK)]) == _MARK


def find_pickles(data: mmap.mmap, names: Names) -> tuple[slice, slice, int]:
    """Judge the pickles of a file by their instructions.

    Args:
        data: The file, for which `is_legacy` holds.
        names: what the object may mention; see `audit`.

    Returns:
        Where the object and the keys of its storages lie, and where the
        first storage begins.

    Raises:
        RefusedObject, ValueError: see `audit`.
    """
    version = 2 + len(_MARK)
    machine = audit(data, _PLAIN, version)
    begin = audit(data, _PLAIN, machine)
    keys = audit(data, names, begin)
    storages = audit(data, _PLAIN, keys)
    return slice(begin, keys), slice(keys, storages), storages


def find_storages(data: mmap.mmap, keys: list[str],
                  expected: dict[str, tuple[int, int]],
                  at: int) -> dict[str, tuple[int, int]]:
    """Return where the storages lie.

    Args:
        data: The file.
        keys: In the order of the file.
        expected: Numbers and bytes of each, as the object claims.
        at: where the first begins.

    Returns:
        Position and size in bytes.

    Raises:
        ValueError: the file is cut off, or the claims are wrong.
    """
    if not isinstance(keys, list) or sorted(keys) != sorted(expected):
        raise ValueError('the storages of the file are not those of its tensors')
    places = {}
    for key in keys:
        count, size = expected[key]
        if int.from_bytes(data[at:at + 8], 'little') != count:
            raise ValueError(f'storage {key} has not the {count} numbers that its '
                             'tensors claim')
        at += 8
        if at + size > len(data):
            raise ValueError(f'storage {key} is cut off')
        places[key] = at, size
        at += size
    return places
