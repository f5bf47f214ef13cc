"""Trainings on made features: resumed, repeated, in processes."""
import json

import pytest
import torch

from ddp_perception.study import OtherSettings, Results, run_jobs, training
from ddp_perception.study.training import Order, build_head, rate
from tests.study.tiny import DIFFUSION, PLAIN, job, write_features


@pytest.fixture
def folder(tmp_path):
    write_features(tmp_path)
    return tmp_path


def without_times(lines):
    return [{name: value for name, value in line['metrics'].items()
             if 'seconds' not in name} for line in lines]


def test_what_is_there_is_not_trained_again(folder):
    jobs = [job(folder, 'plain', 0, PLAIN), job(folder, 'wide', 0)]
    results = Results(folder / 'results.jsonl')
    said = []
    assert run_jobs(jobs[:1], results, progress=said.append) == 1
    assert 'steps_1/iou' in said[-1]
    first = (folder / 'results.jsonl').read_bytes()
    again = Results(folder / 'results.jsonl')
    assert run_jobs(jobs, again) == 1
    assert (folder / 'results.jsonl').read_bytes().startswith(first)
    assert run_jobs(jobs, Results(folder / 'results.jsonl')) == 0
    plain, wide = again.lines
    assert wide['metrics']['seconds'] > 2 * wide['metrics']['seconds_per_iteration']
    assert wide['metrics']['steps_3/iou'] > 0 and 'steps_3/iou' not in plain['metrics']


def test_a_line_of_other_settings_is_refused_before_anything_is_trained(folder):
    results = Results(folder / 'results.jsonl')
    run_jobs([job(folder, seed=1)], results)
    jobs = [job(folder, seed=0), job(folder, seed=1, iterations=4)]
    with pytest.raises(OtherSettings, match='iterations was 3, is 4') as error:
        run_jobs(jobs, results)
    assert 'wide, seed 1' in str(error.value)
    assert len(Results(folder / 'results.jsonl').lines) == 1


def test_a_line_on_other_features_is_refused(folder):
    results = Results(folder / 'results.jsonl')
    run_jobs([job(folder)], results)
    for file in (folder / 'features').iterdir():
        file.unlink()
    (folder / 'features').rmdir()
    write_features(folder, made_by='another checkpoint')
    with pytest.raises(OtherSettings, match='features was'):
        run_jobs([job(folder)], results)


def test_half_a_line_of_a_killed_run_is_cut_off(folder):
    path = folder / 'results.jsonl'
    run_jobs([job(folder, 'plain', 0, PLAIN)], Results(path))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    results = Results(path)
    assert len(results.lines) == 1
    run_jobs([job(folder, 'plain', 1, PLAIN)], results)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [found['seed'] for found in lines] == [0, 1]


def test_a_seed_fixes_all_figures_and_another_changes_them(folder):
    found = []
    for name, seed in (('one', 0), ('two', 0), ('three', 1)):
        results = Results(folder / f'{name}.jsonl')
        run_jobs([job(folder, seed=seed, threads=1)], results)
        found += without_times(results.lines)
    assert found[0] == found[1] != found[2]


def test_two_processes_find_what_one_does(folder):
    jobs = [job(folder, seed=seed, threads=1) for seed in (0, 1)]
    alone, together = (Results(folder / f'{name}.jsonl') for name in ('one', 'two'))
    run_jobs(jobs, alone)
    run_jobs(jobs, together, processes=2)
    assert without_times(alone.lines) == without_times(
        sorted(together.lines, key=lambda line: line['seed']))


def test_a_training_keeps_freed_memory_in_its_process(folder, monkeypatch):
    kept = []
    monkeypatch.setattr(training, 'keep_freed_memory', lambda: kept.append(True))
    job(folder).run()
    assert kept == [True]


def test_training_learns_and_its_weights_are_kept(folder):
    short, long = job(folder, seed=3), job(folder, seed=3, iterations=150)
    losses = [one.run()['loss'] for one in (short, long)]
    assert losses[1] < 0.5 * losses[0]  # a channel tells the class
    state = torch.load(long.weights, weights_only=True)
    head = build_head(DIFFUSION, 'mmseg', 3)
    fresh = {name: value.clone() for name, value in head.state_dict().items()}
    head.load_state_dict(state)
    assert any(not torch.equal(fresh[name], value) for name, value in state.items())


def test_batches_depend_on_the_seed_and_take_each_place_once():
    places = list(range(10, 17))
    order, same, other = Order(places, 0), Order(places, 0), Order(places, 1)
    drawn = [order.next(2) for _ in range(7)]
    assert drawn == [same.next(2) for _ in range(7)]
    assert drawn != [other.next(2) for _ in range(7)]
    flat = sum(drawn, [])
    assert sorted(flat[:7]) == sorted(flat[7:]) == places


def test_the_learning_rate_rises_then_falls():
    rates = [rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.
    assert rates[55] == pytest.approx(0.505)  # half way down to 0.01
    assert rates[9:] == sorted(rates[9:], reverse=True) and rates[-1] < 0.011
