"""The scripts of docs/deployment.md run as they stand."""
import re
import runpy
import sys

import numpy as np
import pytest
import torch

from ddp_perception.apis import init_model
from tests.cli.test_predict_images import SEG, read, weights, write_image

__all__ = ['weights']  # the fixture


def write_script(repository_dir, folder, name):
    """Write the script of the page that names itself so."""
    page = (repository_dir / 'docs/deployment.md').read_text()
    script, = (script for script in re.findall(r'```python\n(.*?)```', page, re.DOTALL)
               if f'python {name}' in script.splitlines()[0])
    (folder / name).write_text(script)


@pytest.mark.parametrize('noise', ['input', 'constant'])
def test_the_script_labels_an_image(
        noise, weights, repository_dir, tmp_path, monkeypatch, capsys):
    from ddp_perception.cli.main import main
    options = ['--constant-noise'] if noise == 'constant' else []
    write_image(tmp_path / 'street.png', 0, (32, 64))  # its size is the graph's
    assert main(['export', str(SEG), str(weights[SEG]), str(tmp_path / 'street.onnx'),
                 '--image-size', '32', '64', '--sample', str(tmp_path / 'example.npz'),
                 *options]) == 0
    assert main(['predict', str(SEG), str(weights[SEG]), str(tmp_path / 'street.png'),
                 '--out', str(tmp_path / 'out')]) == 0
    write_script(repository_dir, tmp_path, 'labels.py')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['labels.py', 'street.onnx', 'street.png'])
    capsys.readouterr()
    runpy.run_path('labels.py')
    said = capsys.readouterr().out
    shares = [float(share) for share in re.findall(r'([\d.]+)% of the pixels', said)]
    assert len(shares) == 3 and abs(sum(shares) - 100) < .2 and 'person' in said
    labels, theirs = read('labels.png'), read('out/street_labels.png')
    assert labels.shape == theirs.shape == (32, 64)
    same = (labels == theirs).mean()
    assert same == 1 if noise == 'constant' else same > .5  # another noise
    with np.load('example.npz') as example:
        names = {'images', 'noise', 'probabilities', 'uncertainty'}
        assert set(example.files) == names - (
            {'noise'} if noise == 'constant' else set())
        assert example['probabilities'].shape == (1, 3, 32, 64)


def test_the_loop_over_steps_gives_what_the_model_gives_and_ends_with_it(
        weights, repository_dir, tmp_path, monkeypatch, capsys):
    from ddp_perception.cli.main import main
    write_image(tmp_path / 'street.png', 0, (32, 64))  # its size is the graph's
    assert main(['export', str(SEG), str(weights[SEG]), str(tmp_path / 'street.onnx'),
                 '--image-size', '32', '64', '--parts']) == 0
    assert {path.name for path in tmp_path.glob('street*')} == {
        'street.png', 'street.json', 'street_features.onnx', 'street_step.onnx',
        'street_output.onnx'}
    write_script(repository_dir, tmp_path, 'refine.py')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['refine.py', 'street.json', 'street.png'])
    capsys.readouterr()
    ours = runpy.run_path('refine.py')
    shares = re.findall(r'step \d+: ([\d.]+)% of', capsys.readouterr().out)
    model = init_model(SEG, weights[SEG], 'cpu',
                       sampling=dict(num_steps=10, until_stable=.01))
    noise = torch.from_numpy(ours['noise'])
    monkeypatch.setattr(model.decode_head.sampler, 'noise', lambda *_: (noise, None))
    image = torch.from_numpy(np.ascontiguousarray(
        ours['prepared'].transpose(2, 0, 1)[None])).float()
    with torch.no_grad():
        scores = model.encode_decode(image, [dict(img_shape=(32, 64))])
    expected = scores[:, :3].softmax(1).numpy()
    np.testing.assert_allclose(ours['probabilities'], expected, rtol=0, atol=1e-4)
    assert expected.std() > .01
    assert len(shares) == model.decode_head.step_count.mean
    assert 2 <= len(shares) and shares[0] == '100.0'
    np.testing.assert_array_equal(read('labels.png'), expected[0].argmax(0))
