import collections
import os
import pickle

import numpy as np
import pytest
import torch

from ddp_perception.checkpoints.reading import (
    RefusedObject,
    load_checkpoint_file,
)


class _Calls:
    """An object whose pickle calls a function while it is read."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


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
    path = _saved(tmp_path, {'weights': _Calls(os.mkdir, str(target))})
    with pytest.raises(RefusedObject, match=r'file\.pth.*posix\.mkdir.*trust'):
        load_checkpoint_file(path)
    assert not target.exists()
    load_checkpoint_file(path, trusted=True)
    assert target.is_dir()


@pytest.mark.parametrize('owner, name', [
    (dict, 'fromkeys'), (torch.Tensor, 'numpy')])
def test_load_refuses_getattr_of_other_owners(tmp_path, owner, name):
    path = _saved(tmp_path, {'weights': _Calls(getattr, owner, name)})
    with pytest.raises(RefusedObject, match=name):
        load_checkpoint_file(path)


def test_load_refuses_other_attributes_of_the_training_curves(tmp_path):
    from mmengine.logging import HistoryBuffer
    path = _saved(tmp_path, _Calls(getattr, HistoryBuffer, '__init__'))
    with pytest.raises(RefusedObject, match='__init__'):
        load_checkpoint_file(path)


def test_load_names_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        load_checkpoint_file(tmp_path / 'nowhere.pth')
