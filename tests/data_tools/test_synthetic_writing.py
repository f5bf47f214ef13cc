"""Folders, resumption, workers and world choice, apart from any format."""
import json
from functools import partial

import numpy as np
import pytest

from data_tools.synthetic import drives as module
from data_tools.synthetic.drives import HELD_OUT, plan_drives, weather_in_turn
from data_tools.synthetic.images import write_image
from data_tools.synthetic.sensors import noise_seed
from data_tools.synthetic.writing import write_set
from data_tools.world.weather import KINDS


def drive(out, name, progress):
    """Write one file; fails where a file named stop lies beside the set."""
    if (out.parent / f'stop-{name}').exists():
        raise KeyboardInterrupt
    (out / f'{name}.txt').write_text(name * 3)
    progress()
    return [name]


def other(out, progress):
    (out / 'map.txt').write_text('map')


def write(out, names='abc', options=None, **kwargs):
    def finish(records):
        (out / 'all.json').write_text(json.dumps(records))

    return write_set(out, options or {'n': 1},
                     {n: partial(drive, out, n) for n in names}, finish,
                     frames=1, others=[partial(other, out)], title='t',
                     progress=False, **kwargs)


def contents(root):
    return {p.name: p.read_text() for p in root.rglob('*') if p.is_file()}


def test_several_workers_write_what_one_writes(tmp_path):
    alone, together = tmp_path / 'alone', tmp_path / 'together'
    assert write(alone) == alone
    write(together, workers=2)
    assert contents(alone) == contents(together)
    assert set(contents(alone)) == {'a.txt', 'b.txt', 'c.txt', 'map.txt',
                                    'all.json', 'synthetic.json'}
    assert json.loads((alone / 'all.json').read_text()) == [
        ['a'], ['b'], ['c']]


def test_an_interrupted_set_goes_on_at_its_first_unfinished_drive(tmp_path):
    out, stop = tmp_path / 'set', tmp_path / 'stop-b'
    stop.touch()
    with pytest.raises(KeyboardInterrupt):
        write(out)
    assert not (out / 'all.json').exists()
    assert json.loads((out / 'synthetic.json').read_text())[
        'complete'] is False
    stamp = (out / 'a.txt').stat().st_mtime_ns
    stop.unlink()
    write(out)
    assert (out / 'a.txt').stat().st_mtime_ns == stamp
    assert json.loads((out / 'all.json').read_text()) == [
        ['a'], ['b'], ['c']]
    (out / 'a.txt').write_text('touched')
    write(out)  # complete: left alone
    assert (out / 'a.txt').read_text() == 'touched'


def test_other_options_and_foreign_folders_are_refused(tmp_path):
    out = write(tmp_path / 'set')
    with pytest.raises(FileExistsError, match=r'other options \(n\)'):
        write(out, options={'n': 2})
    write(out, names='de', options={'n': 2}, overwrite=True)
    assert 'a.txt' not in contents(out) and 'd.txt' in contents(out)
    foreign = tmp_path / 'home'
    foreign.mkdir()
    (foreign / 'thesis.tex').write_text('x')
    with pytest.raises(FileExistsError, match='not a synthetic set'):
        write(foreign, overwrite=True)
    with pytest.raises(FileExistsError, match='is a file'):
        write(foreign / 'thesis.tex')
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        write(tmp_path / 'x', workers=0)
    assert not (tmp_path / 'x').exists()


def test_each_split_meets_each_weather_in_turn():
    weather = weather_in_turn(['abcdef', 'xy'])
    assert [weather[n] for n in 'abcdef'] == [*KINDS, KINDS[0]]
    assert [weather[n] for n in 'xy'] == list(KINDS[:2])


def test_more_training_drives_leave_all_others_as_they_are():
    few = plan_drives('kitti', {'train': 2, 'test': 2})
    many = plan_drives('kitti', {'train': 4, 'test': 2})
    assert [d for d in many if d.number not in (3, 4)] == few
    assert [(d.split, d.number, d.index) for d in few] == [
        ('train', 1, 0), ('train', 2, 1), ('test', HELD_OUT + 1, 0),
        ('test', HELD_OUT + 2, 1)]


def test_worlds_differ_between_splits_drives_data_sets_and_seeds(monkeypatch):
    seeds = []
    monkeypatch.setattr(module, 'World', lambda seed, **_: seeds.append(seed))
    plans = (*plan_drives('kitti', {'train': 2, 'test': 2}),
             *plan_drives('cityscapes', {'train': 2, 'val': 2}))
    for drive_ in plans:
        for seed in (0, 1):
            drive_.world(seed, 1.)
    assert len(set(seeds)) == len(seeds) == 16
    leans = {tuple(d.lean(seed, frame).elements) for d in plans
             for seed in (0, 1) for frame in (5, 6)}
    assert len(leans) == 32
    assert all(lean[0] > .999 for lean in leans)  # half angle below 2.6 deg


def test_noise_differs_between_exposures():
    assert noise_seed(0, 'a', 1) == noise_seed(0, 'a', 1)
    assert len({noise_seed(s, 'a', n) for s in (0, 1) for n in (1, 2)}) == 4


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match='could not write'):
        (tmp_path / 'x.png').mkdir()
        write_image(tmp_path / 'x.png', np.zeros((2, 3), np.uint8))
