import runpy
import shutil
import sys

import numpy as np
from PIL import Image

from tests.apis.conftest import MAP, save_weights

__all__ = ['save_weights']  # the fixture


def test_the_script_predicts_saves_and_draws(
        repository_dir, synthetic_root, synthetic_infos, save_weights, tmp_path,
        monkeypatch, capsys):
    root = tmp_path / 'root'
    root.mkdir()
    (root / 'samples').symlink_to(synthetic_root / 'samples')
    shutil.copy(synthetic_infos['val'], root / 'nuscenes_infos_val.pkl')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'argv', ['script', str(MAP), str(save_weights(MAP)),
                                      str(root)])
    found = runpy.run_path(str(repository_dir / 'examples/predict_from_python.py'))
    said = capsys.readouterr().out
    assert '(6, 200, 200) x right, y forward, from (-50.0, 50.0, 0.5)' in said
    assert said.count('of the cells, mean entropy [nats]') == 6
    assert said.count('drivable area ') == 2  # the set has two frames
    with np.load(tmp_path / 'predictions/first_frame.npz') as saved:
        ahead = saved['probabilities'][:, 100, 120]  # x 0 to 0.5 m, y 10 to 10.5 m
    np.testing.assert_allclose(list(found['ahead'].values()), ahead, atol=0.01)
    assert Image.open(tmp_path / 'predictions/first_frame.png').size == (
        found['picture'].shape[1], found['picture'].shape[0])
