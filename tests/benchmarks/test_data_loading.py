import json

import pytest

from benchmarks import data_loading
from data_tools.prepare_nuscenes import prepare
from data_tools.synthetic_nuscenes import write_synthetic_nuscenes


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('nuscenes')
    data_loading.write_data(folder, image_size=(160, 90), azimuths=60, keyframes=2)
    return folder


@pytest.mark.slow
def test_every_part_is_timed_once_it_loads_what_the_baseline_loads(root, capsys):
    data_loading.main(['--data-root', str(root), '--rounds', '1', '--samples', '1'])
    cases = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [case['name'] for case in cases] == [
        'load map truth', 'load images', 'load sweeps', 'load sample']
    assert all(case['ours_s'] > 0 and case['baseline_s'] > 0 for case in cases)


def test_points_that_differ_are_not_timed(root, monkeypatch):
    load = data_loading.Stock.sweeps

    def shifted(self, sample):
        points = load(self, sample)
        points.tensor[0, 0] += 2
        return points
    monkeypatch.setattr(data_loading.Stock, 'sweeps', shifted)
    with pytest.raises(AssertionError):
        data_loading.main(['--data-root', str(root), '--rounds', '1', '--samples', '1'])


def test_a_set_without_sweeps_is_named(tmp_path):
    write_synthetic_nuscenes(tmp_path, scenes=2, keyframes=1, image_size=(160, 90),
                             azimuths=60, progress=False)
    prepare(tmp_path, version='v1.0-mini', progress=False)
    with pytest.raises(SystemExit, match='no validation frame with sweeps'):
        data_loading.main(['--data-root', str(tmp_path), '--rounds', '1'])
