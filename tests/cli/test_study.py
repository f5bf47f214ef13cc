"""`ddp-perception study`: what it refuses, and its smoke version on tiny images."""
import json
import re

import cv2
import pytest

from tests.datasets.tiny_camvid import write_tiny_camvid
from tests.study.tiny import line

QUICK = ['--cfg-options', 'model.backbone.pretrained=False']


@pytest.fixture
def in_repository(monkeypatch, repository_dir):
    """Configurations are relative to the root of the repository."""
    monkeypatch.chdir(repository_dir)


@pytest.mark.parametrize('arguments, named', [
    (['cam'], "no study 'cam'; there are camvid, drivable, synthetic-map"),
    (['camvid'], 'CHECKPOINT is missing; .* the word random'),
    (['camvid', 'random', '--rows', 'depth'], "--rows: .* no row 'depth'"),
    (['camvid', 'random', '--repeats', '0'], '--repeats must be at least 1, got 0'),
    (['camvid', 'random', '--jobs', '0'], '--jobs must be at least 1, got 0'),
    (['camvid', 'random', '--seed', '-1'], '--seed must be at least 0, got -1'),
    (['camvid', 'no.pth', '--data-root', '{data}'], 'no.pth does not exist'),
    (['camvid', 'random', '--data-root', '{data}/none'], 'train.txt .* is missing'),
    (['camvid', '--page', '{data}/page.md'], 'results.jsonl has no training yet')])
def test_what_cannot_be_done_is_said_at_once(error_of, in_repository, tmp_path,
                                             arguments, named):
    data = write_tiny_camvid(tmp_path / 'data')
    said = error_of('study', *(word.format(data=data) for word in arguments),
                    '--out', tmp_path / 'out')
    assert re.search(named, said), said
    assert not (tmp_path / 'out').exists()


def test_the_page_alone_is_written_from_the_results(run, tmp_path, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'results.jsonl').write_text(''.join(json.dumps(line(
        name, seed, **{figure: 50. + better + seed})) + '\n'
        for name, figure, better in (('unrolled', 'steps_3/iou', 2),
                                     ('plain', 'steps_1/iou', 0)) for seed in range(3)))
    run('study', 'drivable', '--out', out, '--page', tmp_path / 'page.md', '--rows',
        'diffusion')
    page = (tmp_path / 'page.md').read_text()
    assert page == (out / 'study.md').read_text()
    row = next(text for text in page.splitlines()
               if 'unrolled over the plain head' in text)
    assert '+2.00 ± 0.00 (n = 3) (claimed: +1) | holds |' in row


@pytest.mark.slow
def test_smoke_version_goes_on_and_refuses_other_settings(
        run, error_of, in_repository, tmp_path, capsys):
    data = write_tiny_camvid(tmp_path / 'camvid', suffix='.png', height=48, width=64)
    arguments = ['study', 'camvid', 'random', '--smoke', '--data-root', data, '--out',
                 tmp_path / 'out', *QUICK]
    run(*arguments)
    lines = [json.loads(text) for text
             in (tmp_path / 'out/results.jsonl').read_text().splitlines()]
    assert [(found['variant'], found['seed']) for found in lines] == [
        ('plain', 0), ('samples', 0)]
    for found in lines:
        assert 0 <= found['metrics']['steps_1/iou'] <= 100
        assert found['metrics']['parameters'] > 1e4 and found['metrics']['gflops'] > 0
    assert 'steps_10/iou' in lines[1]['metrics'] and 'drift' in lines[1]['metrics']
    page = (tmp_path / 'out/study.md').read_text()
    assert 'samples, mean of 4 over 1' in page and 'not shown' in page
    picture = cv2.imread(str(tmp_path / 'out/samples.png'))
    assert picture.shape[1] == 1500 and picture.std() > 20

    features = tmp_path / 'out/features/train_features.npy'
    made = features.stat().st_mtime_ns
    capsys.readouterr()
    run(*arguments)
    assert '2 of 2 trainings are there' in capsys.readouterr().out
    assert features.stat().st_mtime_ns == made

    said = error_of(*arguments, 'model.neck.0.out_channels=32',
                    'model.neck.1.in_channels=(32,32,32)')
    assert 'features of something else: model.neck' in said
    label = next((data / 'labels/train').iterdir())
    cv2.imwrite(str(label), cv2.imread(str(label), -1)[:, ::-1])
    assert 'data was' in error_of(*arguments)
