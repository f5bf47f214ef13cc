import pickle
import subprocess
import sys
import time

import pytest

from ddp_perception.checkpoints.pickle_audit import audit
from ddp_perception.checkpoints.pickle_names import Names
from ddp_perception.checkpoints.refusals import RefusedObject
from tests.checkpoints.hostile import BOMBS

PLAIN = Names({})
VALUE = {'floats': [i / 3 for i in range(2500)], 'table': [[1.5, 2, True]] * 1200,
         'rows': [[[float(i), None]] for i in range(1100)], 'text': 'é' * 300,
         'deep': [[[[{'a': (1, (2, (3, )))}]]]],
         'many': {i: str(i) for i in range(2500)},
         'big': 2 ** 63, 'bytes': b'x' * 300, 'key': {(1, 'a'): 2}}


@pytest.mark.parametrize('protocol', range(6))
def test_audit_follows_what_python_writes_to_its_end(protocol):
    written = pickle.dumps(VALUE, protocol=protocol)
    if protocol < 3:  # bytes are written as a call then
        with pytest.raises(RefusedObject, match='encode'):
            audit(written, PLAIN)
        written = pickle.dumps({**VALUE, 'bytes': None}, protocol=protocol)
    assert audit(b'##' + written + b'.more', PLAIN, 2) == 2 + len(written)


def test_audit_knows_the_depth_through_the_memo():
    shared = [[[[]]]]
    value = shared
    for _ in range(94):
        value = [value, shared]
    assert audit(pickle.dumps(value), PLAIN)
    for _ in range(5):
        value = [value]
    with pytest.raises(RefusedObject, match='100 levels'):
        audit(pickle.dumps(value), PLAIN)


@pytest.mark.parametrize('written', [
    b'', b'\x80\x04', b'\x80\x04]\x94(K\x01', b'\x80\x04\x8c\x05abc.',
    b'\x80\x04h\x00.',
    b'\x80\x04K\x01K\x02.', b'\x80\x04e.', b'\x80\x04.', b'garbage', b'\x80\x09N.'])
def test_audit_says_what_is_no_whole_pickle(written):
    with pytest.raises(ValueError, match='pickle'):
        audit(written, PLAIN)


def test_audit_holds_a_call_to_the_letters_of_its_name():
    names = Names({('collections', 'OrderedDict'): 'rs', ('builtins', 'list'): ''})
    audit(b'\x80\x02ccollections\nOrderedDict\n)R(K\x01K\x02u.', names)
    for rest in (b'ccollections\nOrderedDict\n)RK\x01a.',  # append
                 b'ccollections\nOrderedDict\n)R}b.',  # attributes
                 b'ccollections\nOrderedDict\n)\x81.', b'cbuiltins\nlist\n)R.',
                 b'cbuiltins\nlist\n}b.', b'cbuiltins\ndict\n.', b'})R.'):
        with pytest.raises(RefusedObject):
            audit(b'\x80\x02' + rest, names)


@pytest.mark.parametrize('decoy', [
    b'Vbuiltins\nVeval\n', b'g0\ng1\n'], ids=['lines', 'memo'])
def test_audit_is_not_led_to_another_name(decoy):
    """The names it judges are those that Python will look up."""
    names = Names({('a', 'b'): 'r'})
    written = (b'\x80\x04Vbuiltins\n\x94Veval\n\x94(\x8c\x01a\x8c\x01bl' + decoy
               + b'\x93.')
    with pytest.raises((RefusedObject, ValueError)):
        audit(written, names)


@pytest.mark.parametrize('name', BOMBS)
def test_bombs_are_refused_at_once_and_in_little_memory(name, tmp_path):
    path = tmp_path / 'bomb.pkl'
    path.write_bytes(BOMBS[name])
    script = (
        'import resource, sys\n'
        'resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))\n'
        'from ddp_perception.checkpoints.plain_pickle import load_plain\n'
        'from ddp_perception.checkpoints.reading import load_checkpoint_file\n'
        'for read in load_plain, load_checkpoint_file:\n'
        '    try:\n'
        '        read(sys.argv[1])\n'
        '    except ValueError as error:\n'
        '        print(error)\n'
        # Of this program alone; getrusage counts what it was forked from.
        'with open("/proc/self/status") as status:\n'
        '    print(next(line.split()[1] for line in status if "VmHWM" in line))\n')
    started = time.monotonic()
    done = subprocess.run([sys.executable, '-c', script, str(path)], timeout=100,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    *messages, peak = done.stdout.splitlines()
    assert len(messages) == 2 and all('bomb.pkl' in line for line in messages)
    assert int(peak) < 2 << 20  # KiB
    assert time.monotonic() - started < 40  # importing torch, twice the reader
