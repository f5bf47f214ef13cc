"""`ddp-perception calibrate`, and what its checkpoint does to `test`."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from ddp_perception.checkpoints.reading import load_checkpoint_file
from tests.cli.test_evaluation import write_cityscapes, write_kitti

CONFIGS = Path(__file__).parent / 'configs'
KEY = 'decode_head.calibration.temperature'
OFFSETS = 'decode_head.calibration.offsets'


def write_weights(config, path, sharper=1.):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIGS / config).model)
    for name, parameter in model.named_parameters():
        if 'predictor' in name:
            parameter.data.mul_(sharper)
    torch.save({'state_dict': model.state_dict(), 'meta': {'epoch': 3},
                'optimizer': {}}, path)
    return path


@pytest.fixture
def street(tmp_path):
    write_cityscapes(tmp_path / 'data')
    weights = write_weights('calibrate_seg.py', tmp_path / 'weights.pth', sharper=300)
    return dict(weights=weights, options=('--data-root', tmp_path / 'data'),
                out=tmp_path / 'out.pth')


def state_of(path):
    return load_checkpoint_file(path)['state_dict']


@pytest.fixture
def figures(run, street, tmp_path):
    def measured(weights):
        out = tmp_path / 'figures.json'
        run('test', CONFIGS / 'calibrate_seg.py', weights, *street['options'],
            '--work-dir', tmp_path / 'work', '--out', out)
        return json.loads(out.read_text())['metrics']

    return measured


def test_calibrated_checkpoint_has_lower_nll_and_the_same_iou(
        run, street, figures, capsys):
    run('calibrate', CONFIGS / 'calibrate_seg.py', street['weights'], '--out',
        street['out'], *street['options'])
    printed = capsys.readouterr().out
    assert 'fitting to 3 samples of val_dataloader' in printed
    assert 'data of test_dataloader' in printed and 'random steps' not in printed
    old, new = state_of(street['weights']), state_of(street['out'])
    assert new.keys() - old.keys() == {KEY} and new[KEY].shape == (1, )
    assert new[KEY] > 2  # the last layer was made too sure of random truth
    assert all(torch.equal(new[name], value) for name, value in old.items())
    meta = load_checkpoint_file(street['out'])['meta']
    assert meta['epoch'] == 3
    notes = meta['calibration']
    assert notes['split'] == 'val' and notes['samples'] == 3
    before, after = figures(street['weights']), figures(street['out'])
    for name, when in (('before', before), ('after', after)):
        assert when['calibration/nll'] == pytest.approx(notes[f'nll_{name}'], rel=1e-9)
        assert when['calibration/ece'] == pytest.approx(notes[f'ece_{name}'], rel=1e-9)
    assert after['calibration/nll'] < before['calibration/nll']
    assert after['calibration/ece'] < before['calibration/ece']
    assert {name: value for name, value in after.items() if '/' not in name} == {
        name: value for name, value in before.items() if '/' not in name}


def test_offsets_are_written_and_used(run, street, figures, capsys, tmp_path):
    command = ('calibrate', CONFIGS / 'calibrate_seg.py')
    run(*command, street['weights'], '--out', street['out'], *street['options'])
    temperature_alone = figures(street['out'])
    both = tmp_path / 'both.pth'
    run(*command, street['out'], '--out', both, *street['options'], '--offsets')
    printed = capsys.readouterr().out
    assert 'offsets move decisions' in printed and 'offsets of the classes' in printed
    old, new = state_of(street['weights']), state_of(both)
    assert new.keys() - old.keys() == {KEY, OFFSETS}
    notes = load_checkpoint_file(both)['meta']['calibration']
    assert notes['offsets'] == pytest.approx(new[OFFSETS].tolist())
    after = figures(both)
    assert after['calibration/nll'] == pytest.approx(notes['nll_after'], rel=1e-9)
    assert after['calibration/nll'] < temperature_alone['calibration/nll'] - 0.01
    # Calibrated again without them, they are gone.
    run(*command, both, '--out', tmp_path / 'again.pth', *street['options'])
    assert OFFSETS not in state_of(tmp_path / 'again.pth')


def test_batches_workers_and_a_former_temperature_change_nothing(
        run, street, tmp_path):
    command = ('calibrate', CONFIGS / 'calibrate_seg.py')
    run(*command, street['weights'], '--out', street['out'], *street['options'],
        '--cells-per-sample', 500)
    again = tmp_path / 'again.safetensors'
    run(*command, street['out'], '--out', again, *street['options'],
        '--cells-per-sample', 500, '--cfg-options', 'val_dataloader.batch_size=2',
        'val_dataloader.num_workers=1')
    torch.testing.assert_close(state_of(again)[KEY], state_of(street['out'])[KEY],
                               rtol=1e-5, atol=0)
    run(*command, street['weights'], '--out', tmp_path / 'all.pth', *street['options'])
    assert not torch.equal(state_of(tmp_path / 'all.pth')[KEY], state_of(again)[KEY])


def test_training_data_are_loaded_as_in_evaluation(run, street, capsys):
    run('calibrate', CONFIGS / 'calibrate_seg.py', street['weights'], '--out',
        street['out'], *street['options'], '--split', 'train', '--samples', 2)
    printed = capsys.readouterr().out
    assert 'fitting to 2 samples of train_dataloader' in printed
    assert 'random steps' not in printed and 'the model was trained' in printed
    np.random.seed(0)
    run('calibrate', CONFIGS / 'calibrate_seg.py', street['weights'], '--out',
        street['out'], *street['options'], '--cfg-options',
        'val_dataloader.dataset.pipeline.1.type=RandomResize',
        'val_dataloader.dataset.pipeline.1.ratio_range=(0.2,1.0)')
    assert 'random steps' in capsys.readouterr().out


def test_what_cannot_be_calibrated_is_refused_in_one_message(
        error_of, street, tmp_path):
    write_kitti(tmp_path / 'depth')
    depth = write_weights('evaluate_depth.py', tmp_path / 'depth.pth')
    common = ('--out', tmp_path / 'none.pth')
    message = error_of('calibrate', CONFIGS / 'evaluate_depth.py', depth, *common,
                       '--split', 'test', '--data-root', tmp_path / 'depth')
    assert 'temperature scaling takes' in message and 'DepthHead' in message
    config = CONFIGS / 'calibrate_seg.py'
    assert 'at least 1' in error_of('calibrate', config, street['weights'], *common,
                                    *street['options'], '--cells-per-sample', 0)
    assert 'would be overwritten' in error_of(
        'calibrate', config, street['weights'], '--out', street['weights'],
        *street['options'])
    assert 'weights.pth is no folder' in error_of(
        'calibrate', config, street['weights'], '--out', street['weights'] / 'new.pth',
        *street['options'])
    assert 'augmented views' in error_of(
        'calibrate', CONFIGS / 'evaluate_flip.py', street['weights'], *common,
        '--split', 'test', *street['options'])
    assert not (tmp_path / 'none.pth').exists()


def test_test_draws_the_curves_that_a_metric_writes(run, street, tmp_path):
    curves = tmp_path / 'curves' / 'street.json'
    run('test', CONFIGS / 'calibrate_seg.py', street['weights'], *street['options'],
        '--work-dir', tmp_path / 'work', '--cfg-options',
        f'test_evaluator.1.curves_file={curves}')
    with Image.open(curves.with_suffix('.png')) as picture:
        assert picture.format == 'PNG'
    assert sorted(file.name for file in curves.parent.iterdir()) == [
        'street.json', 'street.png']
