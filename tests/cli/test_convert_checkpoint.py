"""The conversion command: what it writes, and what it refuses."""
import pickle
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ddp_perception.cli import checkpoint_checks
from ddp_perception.cli.prediction import build_model

CONFIG = str(Path(__file__).parent / 'configs/tiny_seg.py')
# Our names to the released ones, written by hand: the way back.
TO_RELEASED = [
    ('decode_head.diffusion.codec.table', 'embedding_table'),
    ('decode_head.diffusion.denoiser.fuse', 'transform.conv'),
    ('decode_head.diffusion.denoiser.time_embedding.frequencies', 'time_mlp.0.weights'),
    ('decode_head.diffusion.denoiser.time_embedding.hidden', 'time_mlp.1'),
    ('decode_head.diffusion.denoiser.time_embedding.output', 'time_mlp.3'),
    ('decode_head.diffusion.denoiser.predictor', 'decode_head.conv_seg'),
    ('decode_head.diffusion.denoiser.decoder', 'decode_head.encoder'),
    ('.attn.value', '.attentions.0.value'), ('.attn.output', '.attentions.0.output'),
    ('.attn.sampling', '.attentions.0.sampling'),
    ('.attn.attention', '.attentions.0.attention'),
    ('layers.0.expand', 'layers.0.ffns.0.layers.0.0'),
    ('layers.0.reduce', 'layers.0.ffns.0.layers.1'),
    ('layers.0.time.', 'layers.0.time_mlp.1.'),
    ('encoder.layers.0.norm1', 'encoder.layers.0.norms.0'),
    ('encoder.layers.0.norm2', 'encoder.layers.0.norms.1'),
]


def build():
    torch.manual_seed(0)
    model = build_model(Config.fromfile(CONFIG), torch.device('cpu'))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def released_state(model):
    state = {}
    for name, value in model.state_dict().items():
        for ours, theirs in TO_RELEASED:
            name = name.replace(ours, theirs)
        state['module.' + name] = value
    return state


@pytest.fixture
def released(tmp_path):
    """A file as mmseg 0.x writes it, and the model that it came from."""
    model = build()
    path = tmp_path / 'ddp_released.pth'
    torch.save(dict(meta=dict(
        CLASSES=('road', 'sky', 'car'), PALETTE=[[0, 0, 0], [1, 2, 3], [4, 5, 6]],
        iter=160000, mmseg_version='0.29.0'), state_dict=released_state(model),
        optimizer=dict(state={0: torch.zeros(2)})), path)
    return path, model


@pytest.mark.parametrize('name', ['out.pth', 'folder/out.safetensors'])
def test_converted_file_loads_strictly_and_says_where_it_is_from(
        name, released, run, tmp_path, capsys):
    path, original = released
    out = tmp_path / name
    run('convert-checkpoint', path, out, '--config', CONFIG)
    text = capsys.readouterr().out
    assert 'DDP segmentation' in text
    assert re.search(r'decode_head.diffusion +(\d+) +\1 ', text)
    model = build()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    checkpoint_checks.load_weights(model, out, CONFIG)
    for key, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    _, meta = checkpoint_checks.read_state(out)
    assert meta['dataset_meta'] == dict(classes=['road', 'sky', 'car'], palette=[
        [0, 0, 0], [1, 2, 3], [4, 5, 6]])
    assert meta['release'] == 'DDP segmentation' and meta['iter'] == 160000
    assert meta['converted_from'] == path.name and len(meta['sha256']) == 64


def test_format_overrules_the_name(released, run, tmp_path):
    run('convert-checkpoint', released[0], tmp_path / 'out.bin', '--config', CONFIG,
        '--format', 'pth')
    assert 'state_dict' in torch.load(tmp_path / 'out.bin', weights_only=True)


def test_mmengine_loads_the_converted_file(released, run, tmp_path):
    from mmengine.runner import load_checkpoint

    from ddp_perception.compat import load_checkpoints_safely
    load_checkpoints_safely()
    for name in ('out.pth', 'out.safetensors'):
        run('convert-checkpoint', released[0], tmp_path / name, '--config', CONFIG)
        load_checkpoint(build(), str(tmp_path / name), strict=True)


def test_dry_run_lists_every_tensor_and_writes_nothing(released, run, tmp_path, capsys):
    path, model = released
    run('convert-checkpoint', path, tmp_path / 'out.pth', '--config', CONFIG,
        '--dry-run')
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0] for line in lines if line.strip()}
    assert {name.removeprefix('module.') for name in released_state(model)} <= shown
    row = next(line for line in lines if line.startswith('embedding_table.weight'))
    assert row.split() == ['embedding_table.weight', '4x8', 'renamed',
                           'decode_head.diffusion.codec.table.weight']
    assert not (tmp_path / 'out.pth').exists()


class _Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def _wrong_files(tmp_path):
    state = released_state(build())
    good = tmp_path / 'good.pth'
    torch.save(dict(state_dict=state), good)
    whole = good.read_bytes()
    wider = dict(state)
    wider['module.decode_head.conv_seg.weight'] = torch.zeros(19, 8, 1, 1)
    fewer = {key: value for key, value in state.items() if 'neck.1' not in key}
    more = {**state, 'module.neck.2.conv.weight': torch.zeros(3)}
    return {
        'truncated': (whole[:len(whole) // 2], 'is the file complete'),
        'empty': (b'', 'cannot be read as a checkpoint'),
        'text': (b'<html>not found</html>', 'cannot be read as a checkpoint'),
        'no checkpoint': (dict(a=1), 'holds no state_dict'),
        'list': ([torch.zeros(2)], 'holds no state_dict'),
        'malicious': (dict(state_dict=_Evil(tmp_path / 'ran')), 'could run code'),
        'resnet': (dict(state_dict={'conv1.weight': torch.zeros(2), 'fc.bias':
                                    torch.zeros(2)}), 'none of the known releases'),
        'ours': (dict(state_dict=build().state_dict()), 'already has the names'),
        'another task': (dict(state_dict={'encoders.camera.a': torch.zeros(1),
                                          'heads.map.encoder.b': torch.zeros(1)}),
                         'the configuration builds a segmentation model'),
        'more classes': (dict(state_dict=wider),
                         'the file has 19 classes, the model 3'),
        'missing': (dict(state_dict=fewer), 'parameters of the model are not in'),
        'unknown': (dict(state_dict=more), 'neck.2.conv.weight'),
    }


@pytest.mark.parametrize('kind', [
    'truncated', 'empty', 'text', 'no checkpoint', 'list', 'malicious', 'resnet',
    'ours', 'another task', 'more classes', 'missing', 'unknown'])
@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_wrong_files_are_refused_without_output(kind, suffix, error_of, tmp_path):
    content, message = _wrong_files(tmp_path)[kind]
    path, out = tmp_path / 'wrong.pth', tmp_path / f'out.{suffix}'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    text = error_of('convert-checkpoint', path, out, '--config', CONFIG)
    assert message in text and 'Traceback' not in text
    assert not (tmp_path / 'ran').exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == ['good.pth', 'wrong.pth']


def test_a_bare_malicious_pickle_is_refused(error_of, tmp_path):
    path = tmp_path / 'wrong.pth'
    path.write_bytes(pickle.dumps(_Evil(tmp_path / 'ran'), protocol=2))
    text = error_of('convert-checkpoint', path, tmp_path / 'out.pth',
                    '--config', CONFIG)
    assert 'wrong.pth' in text
    assert [file.name for file in tmp_path.iterdir()] == ['wrong.pth']


def test_broken_safetensors_are_refused(error_of, tmp_path):
    path = tmp_path / 'wrong.safetensors'
    path.write_bytes(b'\x08' + b'\0' * 7 + b'{"a":1}')
    text = error_of('convert-checkpoint', path, tmp_path / 'out.pth',
                    '--config', CONFIG)
    assert 'cannot be read as a checkpoint' in text


def test_the_input_is_not_overwritten(released, error_of, tmp_path):
    path = released[0]
    before = path.read_bytes()
    assert 'would be overwritten' in error_of(
        'convert-checkpoint', path, path, '--config', CONFIG)
    assert 'is a folder' in error_of(
        'convert-checkpoint', path, tmp_path, '--config', CONFIG)
    assert path.read_bytes() == before


def test_missing_files_are_named(released, error_of, tmp_path):
    assert 'nowhere.pth does not exist' in error_of(
        'convert-checkpoint', tmp_path / 'nowhere.pth', tmp_path / 'o', '--config',
        CONFIG)
    assert 'nowhere.py does not exist' in error_of(
        'convert-checkpoint', released[0], tmp_path / 'o', '--config', 'nowhere.py')
