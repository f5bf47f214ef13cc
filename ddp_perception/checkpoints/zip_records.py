"""Find the records of a checkpoint that `torch.save` wrote as a zip archive.

Records are taken only where they lie in the file as they are: none compressed,
so that none can grow, and none in the bytes of another.
"""
import os
import struct
import zipfile
from typing import BinaryIO

_LARGEST_DIRECTORY = 1 << 26
_TORCHSCRIPT = ('constants.pkl', 'code')
"""What only a compiled program has."""


def find_records(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Return where the records of an archive lie.

    Args:
        file: The open archive.

    Returns:
        Position and size in bytes, by the name within the archive's folder
        ('data.pkl', 'data/0').

    Raises:
        ValueError: it is a TorchScript program, or no archive as torch writes
            them.
        zipfile.BadZipFile: it is cut off or damaged.
    """
    size = os.fstat(file.fileno()).st_size
    _require_small_directory(file, size)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    parts = [entry.filename.split('/', 1) for entry in entries]
    names = [part[-1] for part in parts if len(part) == 2]
    if any(name.split('/')[0] in _TORCHSCRIPT for name in names):
        raise ValueError('it is a TorchScript program (torch.jit.save), which is '
                         'not a checkpoint')
    if len({part[0] for part in parts}) != 1 or len(names) != len(entries) or len(
            set(names)) != len(names) or 'data.pkl' not in names:
        raise ValueError('the archive is not one of torch.save: it must hold one '
                         'folder with data.pkl, and every name once')
    records = {name: _locate(file, entry, size)
               for name, entry in zip(names, entries, strict=True)}
    if sum(length for _, length in records.values()) > size:
        raise ValueError('the records of the archive are larger than the archive')
    return records


def _require_small_directory(file: BinaryIO, size: int) -> None:
    """Raise where reading the list of records alone would take the memory."""
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    place = tail.rfind(b'PK\5\6')
    length = struct.unpack_from('<I', tail, place + 12)[0] if 0 <= place <= len(
        tail) - 22 else 0
    if length == 0xffffffff:  # the zip64 record has it
        place = tail.rfind(b'PK\6\6')
        length = struct.unpack_from('<Q', tail, place + 40)[0] if 0 <= place <= len(
            tail) - 56 else size
    if length > _LARGEST_DIRECTORY:
        raise ValueError(f'the archive lists {length} bytes of records')


def _locate(file: BinaryIO, entry: zipfile.ZipInfo, size: int) -> tuple[int, int]:
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError(f'the record {entry.filename} of the archive is compressed '
                         'or encrypted, as torch never writes it')
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b'PK\3\4':
        raise ValueError(f'the record {entry.filename} of the archive has no header')
    begin = entry.header_offset + 30 + sum(struct.unpack_from('<HH', header, 26))
    if begin + entry.file_size > size:
        raise ValueError(f'the record {entry.filename} of the archive is cut off')
    return begin, entry.file_size
