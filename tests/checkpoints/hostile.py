"""Pickles that call, hang, crash or fill the memory, made by hand."""
import os
import pickle

TOWER = 200_000


class Calls:
    """An object whose pickle calls a function while it is read."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def _called(function, *arguments):
    return pickle.dumps(Calls(function, *arguments), protocol=2)


def _laughs():
    """A list of ten times a list of ten times a list, thirty levels."""
    value = []
    for _ in range(30):
        value = [value] * 10
    return pickle.dumps(value, protocol=4)


def _itself():
    value = []
    value.append(value)
    return pickle.dumps(value, protocol=4)


def _grown_behind():
    """Lists that are put into one another only after the memo gave them away."""
    count = 50_000
    lists = b''.join(b']\x94' for _ in range(count))
    grown = b''.join(b'j%bj%ba0' % (i.to_bytes(4, 'little'),
                                    (i + 1).to_bytes(4, 'little'))
                     for i in range(count - 1))
    return b'\x80\x04(' + lists + b'l' + grown + b'.'


BOMBS = {
    'tower of tuples': b'\x80\x02)' + b'\x85' * TOWER + b'.',
    'tower of lists': b'\x80\x02' + b']' * TOWER + b'a' * (TOWER - 1) + b'.',
    'tower of dictionaries': (b'\x80\x02' + b'}K\x01' * TOWER + b'N'
                              + b's' * TOWER + b'.'),
    'tower as a key': b'\x80\x02})' + b'\x85' * TOWER + b'Ns.',
    'tower in a frozenset': b'\x80\x04()' + b'\x85' * TOWER + b'\x91.',
    'lists that grow behind': _grown_behind(),
    'memo slot': b'\x80\x02]r\xff\xff\xff\x7f.',
    'bytes that are not there':
        b'\x80\x04\x8e' + (1 << 40).to_bytes(8, 'little') + b'.',
    'bytearray that is not there':
        b'\x80\x05\x96' + (1 << 40).to_bytes(8, 'little') + b'.',
    'integer': b'\x80\x02\x8b\x00\x00\x10\x00' + b'\x7f' * (1 << 20) + b'.',
    'laughs': _laughs(),
    'itself': _itself(),
    'many containers': b'\x80\x02(' + b']' * 30_000_000 + b'l.',
    'bytearray': _called(bytearray, 20_000_000_000),
    'list of a range': _called(list, range(10 ** 9)),
    'set of a range': _called(set, range(10 ** 9)),
    'dictionary of a range': _called(dict.fromkeys, range(10 ** 9)),
    'system': _called(os.system, 'exit 3'),
}
"""None of them may be read; each ends within seconds and 2 GiB."""
