"""The script of docs/deployment.md runs as it stands."""
import re
import runpy
import sys

import numpy as np
import pytest

from tests.cli.test_predict_images import SEG, read, weights, write_image

__all__ = ['weights']  # the fixture


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
    page = (repository_dir / 'docs/deployment.md').read_text()
    script, = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
    (tmp_path / 'labels.py').write_text(script)
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
