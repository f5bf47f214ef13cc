"""Files of strangers through the commands: none of them runs anything."""
import functools
import http.server
import os
import pickle
import threading

import pytest
import torch

from tests.checkpoints.hostile import Calls
from tests.cli.test_predict import _write_frames
from tests.cli.test_train import _weights


@pytest.fixture
def made(tmp_path):
    """What a hostile file would make."""
    path = tmp_path / 'made by the file'
    yield path
    assert not path.exists()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder and the address under which it is served on this machine."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch home'))
    monkeypatch.setenv('no_proxy', '*')
    folder = tmp_path / 'served'
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def _hostile(made):
    return {'state_dict': {'weight': torch.zeros(2)}, 'meta': Calls(
        os.mkdir, str(made))}


def _legacy(value, path):
    torch.save(value, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize('save', [torch.save, _legacy], ids=['zip', 'legacy'])
@pytest.mark.parametrize('command', ['test', 'predict', 'train'])
def test_an_address_is_fetched_and_read_as_a_file(
        error_of, tiny_config, points_config, tiny_root, tmp_path, served, made,
        command, save):
    folder, address = served
    save(_hostile(made), folder / 'weights.pth')
    address += '/weights.pth'
    message = error_of(*{
        'test': ['test', tiny_config, address, '--data-root', tiny_root],
        'predict': ['predict', points_config, address,
                    _write_frames(tmp_path, ['first'])],
        'train': ['train', tiny_config, '--data-root', tiny_root, '--load-from',
                  address, '--work-dir', tmp_path]}[command])
    assert 'weights.pth' in message and 'mkdir' in message
    assert '--trust-checkpoint' in message and not made.exists()


def test_a_good_address_trains_and_its_weights_arrive(
        run, tiny_config, tiny_root, tmp_path, served):
    folder, address = served
    torch.save({'hidden.weight': torch.full((4, 1), 7.)}, folder / 'start.pth')
    run('train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path,
        '--load-from', f'{address}/start.pth', '--cfg-options',
        'train_cfg.max_epochs=1', 'optim_wrapper.optimizer.lr=0.0')
    assert (_weights(tmp_path / 'epoch_1.pth')['hidden.weight'] == 7).all()


def test_what_is_fetched_never_passes_for_a_file_of_torch_hub(
        error_of, tiny_config, tiny_root, tmp_path, served, made):
    """Other programs would find it there by its name, and run it."""
    folder, address = served
    name = 'resnet50-0676ba61.pth'
    torch.save(_hostile(made), folder / name)
    error_of('test', tiny_config, f'{address}/{name}', '--data-root', tiny_root)
    fetched = [path.name for path in (tmp_path / 'torch home').rglob('*.pth')]
    assert len(fetched) == 1 and name not in fetched


def test_a_file_that_torch_hub_has_is_not_fetched(
        error_of, tiny_config, tiny_root, tmp_path, served, made):
    hub = tmp_path / 'torch home' / 'hub' / 'checkpoints'
    hub.mkdir(parents=True)
    torch.save(_hostile(made), hub / 'resnet50-0676ba61.pth')
    message = error_of('test', tiny_config, f'{served[1]}/resnet50-0676ba61.pth',
                       '--data-root', tiny_root)
    assert str(hub / 'resnet50-0676ba61.pth') in message and 'mkdir' in message


@pytest.mark.parametrize('address', [
    's3://bucket/a.pth', 'petrel://a.pth', 'pavi://a.pth', 'ftp://host/a.pth',
    'file:///etc/passwd', 'odd:s3://a.pth'])
def test_other_schemes_are_refused(error_of, tiny_config, tiny_root, address):
    message = error_of('test', tiny_config, address, '--data-root', tiny_root)
    assert address in message and 'https' in message


def test_an_address_without_a_file_is_named(error_of, tiny_config, tiny_root, served):
    address = f'{served[1]}/absent.pth'
    assert address in error_of('test', tiny_config, address, '--data-root', tiny_root)


def test_pretrained_weights_from_an_address_run_nothing(served, made):
    from mmengine.model import BaseModule

    from ddp_perception.compat import load_checkpoints_safely
    folder, address = served
    torch.save(_hostile(made), folder / 'backbone.pth')
    load_checkpoints_safely()
    module = BaseModule({'type': 'Pretrained', 'checkpoint': f'{address}/backbone.pth'})
    with pytest.raises(ValueError, match='mkdir'):
        module.init_weights()


@pytest.mark.parametrize('trusted', [False, True])
def test_resume_runs_no_configuration_of_the_file(
        run, tiny_config, tiny_root, tmp_path, trusted):
    made = tmp_path / 'made'
    common = ['train', tiny_config, '--data-root', tiny_root, '--work-dir', tmp_path]
    run(*common, '--cfg-options', 'train_cfg.max_epochs=1')
    path = tmp_path / 'epoch_1.pth'
    content = torch.load(path, weights_only=False)
    content['meta']['config'] = (
        f'made = __import__("os").mkdir({str(made)!r})\n')
    assert 'cfg' in content['meta']  # what mmengine writes, and never runs
    torch.save(content, path)
    run(*common, '--resume', path, *(['--trust-checkpoint'] if trusted else []),
        '--cfg-options', 'train_cfg.max_epochs=2')
    assert (tmp_path / 'epoch_2.pth').is_file()
    assert made.exists() is trusted


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_torchscript_programs_are_refused(error_of, tiny_config, tiny_root, tmp_path):
    path = tmp_path / 'program.pth'
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)), path)
    message = error_of('test', tiny_config, path, '--data-root', tiny_root)
    assert 'program.pth' in message and 'TorchScript' in message


def test_predict_refuses_info_files_that_hold_objects(
        error_of, points_config, tmp_path, made):
    torch.save({'state_dict': {'weight': torch.zeros(2)}}, tmp_path / 'weights.pth')
    infos = tmp_path / 'infos.pkl'
    infos.write_bytes(pickle.dumps({'metainfo': {}, 'data_list': [
        Calls(os.mkdir, str(made))]}))
    message = error_of('predict', points_config, tmp_path / 'weights.pth', infos)
    assert 'infos.pkl holds posix.mkdir' in message
