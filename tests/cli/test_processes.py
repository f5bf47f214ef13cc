"""What several processes validate is what the first one saves."""
import json

import pytest
import torch

from tests.cli.conftest import CONFIGS

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason='for CPUs')


def _validations(work):
    lines = next(work.rglob('scalars.json')).read_text().splitlines()
    return [line for line in map(json.loads, lines) if 'mean_prediction' in line]


@NO_GPU
@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('config, checkpoints', [
    ('normed', ['epoch_1', 'epoch_2']), ('normed_averaged', ['epoch_1', 'epoch_2']),
    ('normed_iterations', ['iter_3', 'iter_6'])])
def test_validations_equal_tests_of_the_saved_checkpoints(
        run, run_in_two_processes, tiny_root, tmp_path, config, checkpoints,
        processes):
    config, work = CONFIGS / f'{config}.py', tmp_path / 'work'
    (run if processes == 1 else run_in_two_processes)(
        'train', config, '--data-root', tiny_root, '--work-dir', work, '--seed', 1)
    validations = _validations(work)
    tested = []
    for checkpoint in checkpoints:
        out = tmp_path / f'{checkpoint}.json'
        run('test', config, work / f'{checkpoint}.pth', '--data-root', tiny_root,
            '--work-dir', tmp_path / 'test', '--out', out, '--cfg-options',
            'test_dataloader.dataset.type=QuietDataset')
        tested.append(json.loads(out.read_text())['metrics']['mean_prediction'])
    assert [validation['mean_prediction'] for validation in validations] \
        == pytest.approx(tested, rel=1e-6)
    assert tested[0] != tested[1]
    assert {validation['count'] for validation in validations} == {5}
