import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from ddp_perception.checkpoints.reading import (
    RefusedObject,
    load_checkpoint_file,
)
from tests.checkpoints.hostile import Calls


def _saved(tmp_path, value, **kwargs):
    path = tmp_path / 'file.pth'
    torch.save(value, path, **kwargs)
    return path


@pytest.mark.parametrize('zipped', [True, False])
def test_load_reads_what_trainers_write(tmp_path, zipped):
    value = {
        'state_dict': collections.OrderedDict(
            weight=torch.randn(2, 3), half=torch.ones(2, dtype=torch.bfloat16),
            parameter=torch.nn.Parameter(torch.zeros(1))),
        'meta': {'epoch': 3, 'classes': {'a', 'b'}, 'size': torch.Size([2]),
                 'dtype': torch.float16, 'device': torch.device('cpu'),
                 'array': np.arange(3.0), 'scalar': np.float64(0.5)},
    }
    read = load_checkpoint_file(_saved(
        tmp_path, value, _use_new_zipfile_serialization=zipped))
    for name, tensor in value['state_dict'].items():
        torch.testing.assert_close(read['state_dict'][name], tensor)
    np.testing.assert_array_equal(read['meta'].pop('array'),
                                  value['meta'].pop('array'))
    assert read['meta'] == value['meta']


def test_load_reads_mmengine_training_curves(tmp_path):
    from mmengine.logging import MessageHub
    hub = MessageHub('test_reading')
    hub.update_scalar('loss', 1.0)
    hub.update_scalar('loss', 3.0)
    path = _saved(tmp_path, {'message_hub': hub.state_dict()})
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)  # why this reader exists
    curves = load_checkpoint_file(path)['message_hub']['log_scalars']
    assert curves['loss'].mean() == 2.0
    assert curves['loss'].statistics('max') == 3.0


def test_load_runs_no_code_of_an_unknown_file(tmp_path):
    target = tmp_path / 'made by the file'
    path = _saved(tmp_path, {'weights': Calls(os.mkdir, str(target))})
    with pytest.raises(RefusedObject, match=r'file\.pth.*posix\.mkdir.*trust'):
        load_checkpoint_file(path)
    assert not target.exists()
    load_checkpoint_file(path, trusted=True)
    assert target.is_dir()


@pytest.mark.parametrize('owner, name', [
    (dict, 'fromkeys'), (torch.Tensor, 'numpy')])
def test_load_refuses_getattr_of_other_owners(tmp_path, owner, name):
    path = _saved(tmp_path, {'weights': Calls(getattr, owner, name)})
    with pytest.raises(RefusedObject, match=name):
        load_checkpoint_file(path)


def test_load_refuses_other_attributes_of_the_training_curves(tmp_path):
    from mmengine.logging import HistoryBuffer
    path = _saved(tmp_path, Calls(getattr, HistoryBuffer, '__init__'))
    with pytest.raises(RefusedObject, match='__init__'):
        load_checkpoint_file(path)


def test_load_names_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        load_checkpoint_file(tmp_path / 'nowhere.pth')


@pytest.mark.parametrize('zipped', [True, False])
def test_load_reads_views_and_shared_storages(tmp_path, zipped):
    whole = torch.arange(24.).reshape(4, 6)
    value = {'whole': whole, 'turned': whole.T, 'part': whole[1:3, 2:],
             'empty': torch.zeros(0, 3), 'scalar': torch.tensor(3),
             'complex': torch.ones(2, dtype=torch.cfloat),
             'repeated': torch.ones(1).expand(5)}
    read = load_checkpoint_file(_saved(
        tmp_path, value, _use_new_zipfile_serialization=zipped))
    for name, tensor in value.items():
        assert torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype
        assert read[name].stride() == tensor.stride()
    read['whole'][1, 2] = -1
    assert read['turned'][2, 1] == read['part'][0, 0] == -1


@pytest.mark.parametrize('map_location', [
    None, 'cpu', torch.device('cpu'), {'cpu': 'cpu'}, lambda storage, place: storage,
    lambda storage, place: None])
def test_load_puts_tensors_where_it_is_told(tmp_path, map_location):
    path = _saved(tmp_path, {'w': torch.ones(2)})
    assert torch.equal(load_checkpoint_file(path, map_location)['w'], torch.ones(2))
    assert load_checkpoint_file(path, 'meta')['w'].device.type == 'meta'


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('cut', [0.2, 0.6, 0.99])
def test_load_names_a_file_that_is_cut_off(tmp_path, zipped, cut):
    path = _saved(tmp_path, {'w': torch.randn(500), 'v': torch.randn(7)},
                  _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * cut)])
    with pytest.raises(ValueError, match=r'file\.pth.*complete'):
        load_checkpoint_file(path)


class _Program(torch.nn.Module):

    def forward(self, x):
        return x + 1


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_load_refuses_torchscript_programs_before_torch_sees_them(
        tmp_path, monkeypatch):
    path = tmp_path / 'program.pth'
    torch.jit.save(torch.jit.script(_Program()), path)
    monkeypatch.setattr(torch.jit, 'load', lambda *a, **k: pytest.fail('was run'))
    with pytest.raises(ValueError, match=r'program\.pth.*TorchScript'):
        load_checkpoint_file(path)


def _changed(path, change, name='file/data.pkl', compression=zipfile.ZIP_STORED):
    """Write the archive anew with one record changed."""
    with zipfile.ZipFile(path) as archive:
        records = {entry: archive.read(entry) for entry in archive.namelist()}
    records[name] = change(records[name])
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for entry, content in records.items():
            archive.writestr(entry, content)


def test_load_refuses_tensors_beyond_the_bytes_of_their_storage(tmp_path):
    value = {'w': torch.arange(65.)}
    for old, new in ((b'K\x41', b'K\x7f'), (b'K\x41\x85', b'K\x7f\x85'),
                     (b'K\x01\x85', b'K\x02\x85')):
        path = _saved(tmp_path, value)
        _changed(path, lambda content: content.replace(old, new))  # noqa: B023
        with pytest.raises(ValueError, match=r'file\.pth'):
            load_checkpoint_file(path)
    _changed(_saved(tmp_path, value), bytes)
    assert torch.equal(load_checkpoint_file(path)['w'], value['w'])
    _changed(path, lambda content: content[:-4], 'file/data/0')
    with pytest.raises(ValueError, match='storage 0 has 256 bytes, not the 260'):
        load_checkpoint_file(path)


def test_load_refuses_compressed_records(tmp_path):
    path = _saved(tmp_path, {'w': torch.zeros(1000)})
    _changed(path, bytes, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r'file\.pth.*compressed'):
        load_checkpoint_file(path)


def test_load_refuses_views_that_repeat_a_number_without_end(tmp_path):
    path = _saved(tmp_path, {'w': torch.ones(1).expand(1 << 40)})
    with pytest.raises(RefusedObject, match='repeat their numbers'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('value', [
    collections.defaultdict(list, a=[1]), collections.Counter('abca'),
    collections.deque([1, 2], 5), bytearray(b'abc'), frozenset({1}), {'kind': int},
    torch.nn.Parameter(torch.ones(2))], ids=lambda value: type(value).__name__)
def test_load_reads_small_collections(tmp_path, value):
    read = load_checkpoint_file(_saved(tmp_path, [value]))[0]
    assert type(read) is type(value)
    assert torch.equal(read, value) if isinstance(value, torch.Tensor) else (
        read == value)


@pytest.mark.parametrize('value', [
    Calls(bytearray, 20_000_000_000), Calls(list, range(3)), Calls(set, 'ab'),
    Calls(collections.Counter, 'ab'), Calls(int, '3'), Calls(torch.empty, 3)])
def test_load_refuses_calls_that_no_trainer_writes(tmp_path, value):
    with pytest.raises(RefusedObject, match=r'file\.pth'):
        load_checkpoint_file(_saved(tmp_path, [value]))


def test_load_refuses_to_change_the_classes_that_a_file_names(tmp_path):
    """A state set on a class would change it for the whole process."""
    from mmengine.logging import HistoryBuffer
    path = _saved(tmp_path, {})
    _changed(path, lambda content: (
        b'\x80\x02cmmengine.logging.history_buffer\nHistoryBuffer\n'
        b'N}X\x04\x00\x00\x00meanK\x01s\x86b.'))
    with pytest.raises(RefusedObject, match='changed after'):
        load_checkpoint_file(path)
    assert callable(HistoryBuffer.mean)


def test_load_refuses_attributes_of_dictionaries(tmp_path):
    state = collections.OrderedDict(w=torch.ones(1))
    state._metadata = collections.OrderedDict(a={'version': 2})
    path = _saved(tmp_path, state)
    assert load_checkpoint_file(path)._metadata == state._metadata
    state.update_all = 'shadowed'
    with pytest.raises(RefusedObject, match="attribute 'update_all'"):
        load_checkpoint_file(_saved(tmp_path, state))


def test_load_opens_regular_files_alone(tmp_path):
    pipe = tmp_path / 'pipe.pth'
    os.mkfifo(pipe)
    for path in (pipe, '/dev/zero'):
        with pytest.raises(ValueError, match='expected a regular file'):
            load_checkpoint_file(path)


def test_load_refuses_safetensors_with_a_vast_header(tmp_path):
    path = tmp_path / 'file.safetensors'
    with open(path, 'wb') as file:
        file.write((90 << 20).to_bytes(8, 'little'))
        file.truncate(100 << 20)
    with pytest.raises(ValueError, match=r'file\.safetensors.*header'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('content, message', [
    (b'', 'empty'), (b'x' * 257 + b'ustar' + b'\0' * 300, 'tar archive'),
    (pickle.dumps({'w': 1}), 'bare pickle')])
def test_load_says_what_is_no_checkpoint(tmp_path, content, message):
    path = tmp_path / 'file.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'file\.pth.*{message}'):
        load_checkpoint_file(path)
