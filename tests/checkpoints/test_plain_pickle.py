import os
import pickle
import resource
from collections import OrderedDict

import numpy as np
import pytest

from ddp_perception.checkpoints.plain_pickle import load_info_file, load_plain
from ddp_perception.checkpoints.refusals import RefusedObject
from tests.checkpoints.hostile import Calls

ARRAYS = {
    'matrix': np.arange(6.).reshape(2, 3), 'columns': np.asfortranarray(
        np.arange(6).reshape(2, 3)), 'names': np.array(['car', 'pedestrian']),
    'big end': np.arange(3, dtype='>i4'), 'none': np.zeros((0, 7), np.float32),
    'flags': np.array([True, False])}


def _written(tmp_path, value, protocol=4):
    path = tmp_path / 'infos.pkl'
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize('protocol', range(6))
def test_plain_values_and_arrays_come_back_as_they_were(tmp_path, protocol):
    shared = [np.int64(3), np.float32(0.5)]
    value = {'arrays': ARRAYS, 'tuple': (1, (ARRAYS['matrix'], )), 'twice': [
        shared, shared], 'ordered': OrderedDict(a=b'x', b=None), 1: 2 ** 40}
    read = load_plain(_written(tmp_path, value, protocol))
    for name, array in ARRAYS.items():
        back = read['arrays'].pop(name)
        assert type(back) is np.ndarray and back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
        assert back.flags.writeable
        assert back.flags.f_contiguous == array.flags.f_contiguous
    np.testing.assert_array_equal(read.pop('tuple')[1][0], ARRAYS['matrix'])
    assert read['twice'][0] is read['twice'][1]
    assert [type(number) for number in read['twice'][0]] == [np.int64, np.float32]
    assert read == {'arrays': {}, 'twice': [shared, shared],
                    'ordered': value['ordered'], 1: 2 ** 40}


def test_a_refusal_names_file_and_object(tmp_path):
    target = tmp_path / 'made by the file'
    path = _written(tmp_path, {'data_list': [Calls(os.mkdir, str(target))]})
    with pytest.raises(RefusedObject, match=r'infos\.pkl holds posix\.mkdir'):
        load_plain(path)
    assert not target.exists()


@pytest.mark.parametrize('array', [
    np.array([Calls(os.mkdir, '/nowhere')], object), np.array(['a', None], object),
    np.zeros(2, [('a', 'f4')])], ids=['calls', 'objects', 'records'])
def test_arrays_of_anything_but_numbers_and_texts_are_refused(tmp_path, array):
    with pytest.raises(ValueError, match=r'infos\.pkl'):
        load_plain(_written(tmp_path, [array]))


@pytest.mark.parametrize('old, new', [
    (b'K\x02K\x03\x86', b'K\x02K\x7f\x86'),  # shape
    (b'\x8c\x02f8', b'\x8c\x02O8'), (b'\x8c\x02f8', b'\x8c\x02V8'),
    (b'NNNJ\xff\xff\xff\xff', b'N]NJ\xff\xff\xff\xff')],
    ids=['shape', 'objects', 'void', 'records'])
def test_an_array_that_is_not_what_it_claims_is_refused(tmp_path, old, new):
    written = pickle.dumps(ARRAYS['matrix'], protocol=4)
    assert written.count(old) == 1
    path = tmp_path / 'infos.pkl'
    path.write_bytes(written.replace(old, new))
    with pytest.raises(ValueError, match=r'infos\.pkl'):
        load_plain(path)


def test_truncated_files_are_named(tmp_path):
    whole = pickle.dumps({'data_list': [{'a': [1.5] * 20, 'b': ARRAYS['matrix']}] * 3})
    path = tmp_path / 'infos.pkl'
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r'infos\.pkl'):
            load_plain(path)


def test_only_regular_files_are_opened(tmp_path):
    pipe = tmp_path / 'pipe.pkl'
    os.mkfifo(pipe)
    for path, kind in ((pipe, 'pipe'), ('/dev/zero', 'device'), (tmp_path, 'folder')):
        with pytest.raises(ValueError, match=f'{path} is a {kind}'):
            load_info_file(path)
    with pytest.raises(FileNotFoundError, match='absent'):
        load_plain(tmp_path / 'absent.pkl')


def test_sparse_files_of_gigabytes_are_refused_unread(tmp_path):
    path = tmp_path / 'infos.json'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for size, message in ((3_000_000_000, 'NUL'), (50_000_000_000, r'50,000 MB')):
        with path.open('wb') as file:
            file.truncate(size)
        with pytest.raises(ValueError, match=fr'infos\.json.*{message}'):
            load_info_file(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # KiB
