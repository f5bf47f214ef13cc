import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from ddp_perception import compat
from tests.checkpoints.hostile import Calls

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(),
                            reason='shows behaviour without a GPU')


@pytest.fixture
def restored_loader():
    from mmengine.runner.checkpoint import CheckpointLoader
    before = CheckpointLoader._schemes.copy()
    yield
    CheckpointLoader._schemes = before


def _runner_like_checkpoint(path):
    from mmengine.logging import MessageHub
    hub = MessageHub('test_compat')
    hub.update_scalar('train/loss', 0.25)
    torch.save({'state_dict': {'w': torch.ones(2)},
                'message_hub': hub.state_dict()}, path)


def test_mmengine_reads_its_own_checkpoints(tmp_path, restored_loader):
    from mmengine.runner.checkpoint import _load_checkpoint
    path = tmp_path / 'epoch_1.pth'
    _runner_like_checkpoint(path)
    compat.load_checkpoints_safely()
    checkpoint = _load_checkpoint(str(path), map_location='cpu')
    assert checkpoint['message_hub']['log_scalars']['train/loss'].current() == 0.25


def test_mmengine_refuses_other_objects_until_trusted(tmp_path, restored_loader):
    from mmengine.runner.checkpoint import _load_checkpoint
    path = tmp_path / 'odd.pth'
    torch.save({'state_dict': {}, 'odd': types.SimpleNamespace(a=1)}, path)
    compat.load_checkpoints_safely()
    with pytest.raises(Exception, match='SimpleNamespace'):
        _load_checkpoint(str(path))
    compat.load_checkpoints_safely(trusted=True)
    assert _load_checkpoint(str(path))['odd'].a == 1


def test_numpy_long_is_an_integer_type_afterwards(monkeypatch):
    monkeypatch.delitem(vars(np), 'long', raising=False)
    compat.patch_numpy_long()
    assert np.zeros(2, dtype=np.long).dtype == np.int64
    monkeypatch.setattr(np, 'long', np.int32)
    compat.patch_numpy_long()
    assert np.long is np.int32  # what is there stays


@NO_GPU
def test_spconv_backward_runs_on_cpu():
    spconv = pytest.importorskip('spconv.pytorch')
    compat.patch_spconv_cpu()
    convolution = spconv.SubMConv3d(2, 3, 3, bias=False)
    features = torch.randn(4, 2, requires_grad=True)
    indices = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 2], [1, 0, 3, 4],
                            [1, 2, 2, 2]], dtype=torch.int32)
    sparse = spconv.SparseConvTensor(features, indices, [4, 5, 6], 2)
    convolution(sparse).features.square().sum().backward()
    assert features.grad.abs().sum() > 0


def test_init_distributed_rejects_an_unknown_launcher():
    with pytest.raises(ValueError, match="'mpirun'"):
        compat.init_distributed('mpirun')


@pytest.mark.parametrize('launcher, variable, start', [
    ('pytorch', 'RANK', 'torchrun'), ('slurm', 'SLURM_PROCID', 'srun')])
def test_init_distributed_says_how_to_start(monkeypatch, launcher, variable, start):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ValueError, match=f'{variable}.*{start}'):
        compat.init_distributed(launcher)


def test_init_distributed_without_launcher_joins_nothing():
    compat.init_distributed('none')
    assert not torch.distributed.is_initialized()


@NO_GPU
@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_init_distributed_joins_gloo_without_gpu(tmp_path, launcher):
    """mmengine's own call raises here; a group of one shows it."""
    script = (
        'from ddp_perception import compat\n'
        f'compat.init_distributed({launcher!r})\n'
        'from torch import distributed as d\n'
        'from mmengine.dist import get_dist_info, get_local_rank\n'
        'print(d.get_backend(), *get_dist_info())\n')
    environ = {**os.environ, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': '29631'}
    environ |= ({'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': '1'}
                if launcher == 'pytorch' else
                {'SLURM_PROCID': '0', 'SLURM_NTASKS': '1',
                 'SLURM_NODELIST': 'node'})
    done = subprocess.run([sys.executable, '-c', script], env=environ,
                          capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ['gloo', '0', '1'], done.stderr


@NO_GPU
def test_model_wrapper_names_no_device_without_gpu():
    from mmengine.config import Config
    cfg = Config({'find_unused_parameters': True})
    compat.adapt_model_wrapper(cfg, 'none')
    assert 'model_wrapper_cfg' not in cfg
    compat.adapt_model_wrapper(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.device_ids is None
    assert cfg.model_wrapper_cfg.find_unused_parameters is True


def test_mmengine_reads_pickles_of_plain_values_alone(tmp_path):
    from mmengine.fileio import dump, load
    from mmengine.fileio.handlers.registry_utils import file_handlers
    before = dict(file_handlers)
    target = tmp_path / 'made by the file'
    infos = {'car': [{'box3d_lidar': np.arange(7.0), 'path': 'a.bin'}]}
    try:
        compat.load_pickles_safely()
        dump(infos, str(tmp_path / 'good.pkl'))
        np.testing.assert_array_equal(
            load(str(tmp_path / 'good.pkl'))['car'][0]['box3d_lidar'], np.arange(7.0))
        path = tmp_path / 'odd.pkl'
        path.write_bytes(pickle.dumps([Calls(os.mkdir, str(target))]))
        with open(path, 'rb') as file, pytest.raises(
                ValueError, match='odd.pkl.*mkdir'):
            load(file, file_format='pkl')  # as mmdet3d's ObjectSample does
        with pytest.raises(ValueError, match='mkdir'):
            load(str(path))
    finally:
        file_handlers.update(before)
    assert not target.exists()


ENDING = """
import atexit, os, sys
from ddp_perception.compat import end_process

class Module:
    def __del__(self, write=os.write):
        write(1, b'torn down')

kept = Module()
atexit.register(print, 'exit function', end=' ')
print('work done', end=' ')  # buffered
end_process(3)
"""


@pytest.mark.parametrize('launched, printed', [
    (False, 'work done exit function torn down'), (True, 'work done exit function ')])
def test_one_of_several_processes_ends_without_tearing_python_down(
        launched, printed, repository_dir):
    environ = {**os.environ, 'PYTHONPATH': str(repository_dir)}
    environ.pop('WORLD_SIZE', None)
    done = subprocess.run(
        [sys.executable, '-c', ENDING], capture_output=True, text=True, timeout=60,
        env={**environ, **({'WORLD_SIZE': '2'} if launched else {})})
    assert (done.returncode, done.stdout, done.stderr) == (3, printed, '')
