"""`ddp-perception report` of a real run."""
import json
import subprocess
import sys

import pytest

from tests.reports.parsed import Page


@pytest.fixture
def work_dir(run, tiny_root, tmp_path, tiny_iters_config):
    """A training that was interrupted and resumed, and a test."""
    work = tmp_path / 'work'
    common = (tiny_iters_config, '--data-root', tiny_root, '--work-dir', work)
    run('train', *common, '--cfg-options', 'train_cfg.max_iters=6')
    run('train', *common, '--resume')
    run('test', tiny_iters_config, work / 'iter_12.pth', '--data-root', tiny_root,
        '--work-dir', work, '--out', work / 'figures.json')
    return work


def test_report_of_a_training_that_was_resumed(run, work_dir, capsys):
    run('report', work_dir)
    assert str(work_dir / 'report.html') in capsys.readouterr().out
    page = Page((work_dir / 'report.html').read_text())
    lines = [json.loads(line) for path in sorted(work_dir.rglob('scalars.json'))
             for line in path.read_text().splitlines()]
    losses = {line['step']: line['loss'] for line in lines if 'loss' in line}
    figures = [line['mean_prediction'] for line in lines if 'iter' not in line]
    assert sorted(losses) == list(range(1, 13))
    loss = next(attrs['alt'] for attrs in page.all('img')
                if attrs['alt'].startswith('loss from'))
    assert 'at iteration 1 to' in loss and 'at iteration 12;' in loss
    last, best, least, _, greatest, _ = page.figures('Validation')['mean_prediction']
    assert last == figures[-1]
    assert best == greatest == max(figures) and least == min(figures)
    metrics = json.loads((work_dir / 'figures.json').read_text())['metrics']
    assert page.figures('Test') == {name: [value] for name, value in metrics.items()}
    assert {'iter_12.pth'} <= page.figures('Checkpoints').keys()
    # mmengine names starts by the second, so two may share a folder.
    assert page.figures('Starts').keys() == {
        path.name for path in work_dir.iterdir() if path.is_dir()}
    assert 'Device: CPU' in page.words and "type='NoisyModel'" in page.words
    assert 'Not everything could be read' not in page.words


def test_report_goes_where_it_is_wanted(run, work_dir, tmp_path):
    run('report', work_dir, '--out', tmp_path / 'new folder' / 'page.html')
    assert (tmp_path / 'new folder' / 'page.html').is_file()
    assert not (work_dir / 'report.html').exists()


@pytest.mark.parametrize('name, expected', [
    ('nowhere', ('nowhere', 'no folder')), ('', ('train or test', 'vis_data'))])
def test_report_of_no_run_says_what_is_expected(error_of, tmp_path, name, expected):
    message = error_of('report', tmp_path / name)
    assert all(word in message for word in expected)
    assert not list(tmp_path.rglob('*.html'))


def test_report_refuses_a_folder_as_its_file(error_of, work_dir, tmp_path):
    assert 'is a folder' in error_of('report', work_dir, '--out', tmp_path)


def test_the_template_is_part_of_the_distribution(repository_dir, tmp_path):
    done = subprocess.run(
        [sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', tmp_path,
         'build', '--build-base', tmp_path / 'build', 'build_py',
         '--build-lib', tmp_path / 'lib'],
        cwd=repository_dir, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = tmp_path / 'lib/ddp_perception/reports/page.html'
    assert built.read_bytes() == (
        repository_dir / 'ddp_perception/reports/page.html').read_bytes()
