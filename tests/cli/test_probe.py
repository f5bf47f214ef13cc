"""`ddp-perception probe` on real segmentors and depth estimators, untrained."""
import json
import re
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tests.cli.test_evaluation import write_cityscapes, write_kitti

CONFIGS = Path(__file__).parent / 'configs'


@pytest.fixture
def prepared(tmp_path):
    """Return a function that prepares the arguments of one configuration."""
    def prepare(name):
        write = write_kitti if name == 'evaluate_depth' else write_cityscapes
        write(tmp_path / 'data')
        init_default_scope('mmseg')
        path = CONFIGS / f'{name}.py'
        settings = Config.fromfile(path).model
        torch.manual_seed(0)
        model = MODELS.build(settings.get('module', settings))
        torch.save({'state_dict': model.state_dict()}, tmp_path / 'weights.pth')
        return [path, tmp_path / 'weights.pth', '--data-root', tmp_path / 'data',
                '--work-dir', tmp_path / 'work']
    return prepare


def variations(path):
    content = json.loads(path.read_text())
    return content, {item['key']: item for item in content['variations']}


@pytest.mark.parametrize('name, figure, rule', [
    ('evaluate_seg', 'mIoU', 'greater'), ('evaluate_depth', 'abs_rel', 'less')])
def test_steps_are_what_test_says_and_files_hold_all(run, tmp_path, prepared, name,
                                                     figure, rule):
    arguments = prepared(name)
    run('probe', *arguments, '--out', tmp_path / 'out' / 'probe.json')
    content, found = variations(tmp_path / 'out' / 'probe.json')
    for steps in (1, 3):
        run('test', *arguments, '--num-steps', steps, '--out', tmp_path / 'test.json')
        expected = json.loads((tmp_path / 'test.json').read_text())['metrics']
        assert found[f'steps_{steps}']['metrics'] == pytest.approx(
            expected, rel=1e-4, abs=1e-4, nan_ok=True)
    assert content['metric'] == {'name': figure, 'rule': rule}
    assert content['samples'] == {'evaluate_seg': 3, 'evaluate_depth': 6}[name]
    assert list(found) == [
        *(f'steps_{steps}' for steps in range(1, 11)), 'zeros', 'feedback', 'seeds',
        *(f'{kind}_{time}' for time in (0.9, 0.7, 0.5, 0.3, 0.1, 0.02)
                   for kind in ('no_truth', 'truth'))]
    assert 0 < found['steps_1']['seconds'] < found['steps_10']['seconds']
    assert found['seeds']['spread'] >= 0 and found['steps_1']['spread'] is None
    log = next(path for path in (tmp_path / 'work').rglob('*.log')
               if 'Probe of' in path.read_text()).read_text()
    assert all(sentence in log for sentence in content['sentences'])
    assert "| 3 steps (the head's own)" in log and '| t = 0.02, noised truth' in log
    picture = cv2.imread(str(tmp_path / 'out' / 'probe.png'))
    assert picture.shape[1] == 1500 and picture.std() > 20


def test_batches_and_workers_change_nothing(run, tmp_path, prepared):
    arguments = prepared('evaluate_seg')
    found = []
    for batch, workers in ((1, 0), (3, 2), (2, 1)):
        run('probe', *arguments, '--steps', 2, '--metric', 'aAcc', '--out',
            tmp_path / 'probe.json', '--cfg-options',
            f'test_dataloader.batch_size={batch}',
            f'test_dataloader.num_workers={workers}')
        found.append(variations(tmp_path / 'probe.json')[1])
    for other in found[1:]:
        for key, item in found[0].items():
            assert item['metrics'] == pytest.approx(other[key]['metrics'], abs=0.03)
            assert (item['apart'] or 0) == pytest.approx(other[key]['apart'] or 0,
                                                         abs=3e-4)


def test_files_of_the_metrics_stay_those_of_test(run, tmp_path, prepared):
    curves, labels = tmp_path / 'curves.json', tmp_path / 'labels'
    curves.write_text('of test')
    run('probe', *prepared('calibrate_seg'), '--steps', 1, '--no-oracle',
        '--out', tmp_path / 'probe.json', '--cfg-options',
        f'test_evaluator.0.output_dir={labels}',
        f'test_evaluator.1.curves_file={curves}')
    assert curves.read_text() == 'of test' and not labels.exists()
    found = variations(tmp_path / 'probe.json')[1]
    assert 'calibration/ece' in found['zeros']['metrics']


def test_a_part_without_the_oracle(run, tmp_path, prepared):
    run('probe', *prepared('evaluate_depth'), '--limit', 2, '--no-oracle', '--steps',
        4, '--num-seeds', 2, '--metric', 'silog', '--less', '--out',
        tmp_path / 'probe.json')
    content, found = variations(tmp_path / 'probe.json')
    assert content['samples'] == 2
    assert content['metric'] == {'name': 'silog', 'rule': 'less'}
    assert list(found) == ['steps_1', 'steps_3', 'steps_4', 'zeros', 'feedback',
                           'seeds']
    assert cv2.imread(str(tmp_path / 'probe.png')) is not None


@pytest.mark.parametrize('options, named', [
    (['--metric', 'IoU'], '--metric IoU is not among the figures .* aAcc, mIoU, mAcc'),
    (['--steps', 0], '--steps must be numbers of at least 1, got'),
    (['--num-seeds', 1], '--num-seeds must be at least 2'),
    (['--limit', 0], '--limit must be at least 1, got 0'),
    (['--cfg-options', "test_dataloader.dataset.pipeline.2.type='RandomFlip'",
      'test_dataloader.dataset.pipeline.2.prob=0.'],
     'has no truth gt_sem_seg; --no-oracle')])
def test_what_cannot_be_done_is_said_at_once(error_of, prepared, options, named):
    message = error_of('probe', *prepared('evaluate_seg'), *options)
    assert re.search(named, message), message


def test_a_file_that_cannot_be_written_is_said_at_once(error_of, prepared, tmp_path):
    arguments = prepared('evaluate_seg')
    (tmp_path / 'file').touch()
    for out, words in ((tmp_path, 'is a folder'),
                       (tmp_path / 'file' / 'probe.json', 'file is no folder'),
                       (tmp_path / 'probe.png', 'such as probe.json')):
        message = error_of('probe', *arguments, '--out', out)
        assert '--out' in message and words in message
    assert not (tmp_path / 'work').exists()


def test_a_figure_of_unknown_direction_is_asked_about(error_of, prepared):
    message = error_of('probe', *prepared('evaluate_depth'), '--metric', 'silog')
    assert 'silog' in message and '--less or --greater' in message


def test_a_metric_that_one_step_does_not_serve_is_refused(error_of, prepared):
    message = error_of('probe', *prepared('evaluate_depth'), '--cfg-options',
                       'test_evaluator.type=ddp.DepthUncertaintyMetric')
    assert 'cannot take a run of one step' in message
    assert 'pred_depth_map_uncertainty' in message


def test_several_views_are_refused(error_of, prepared):
    message = error_of('probe', *prepared('evaluate_flip'))
    assert 'averages several views' in message


def test_a_model_without_diffusion_is_refused(error_of, tiny_config, tiny_root,
                                              tmp_path):
    (tmp_path / 'weights.pth').write_bytes(b'never read')
    message = error_of('probe', tiny_config, tmp_path / 'weights.pth', '--data-root',
                       tiny_root, '--work-dir', tmp_path / 'work')
    assert 'needs one diffusion head, the model has 0' in message
