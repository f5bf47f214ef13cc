"""Prior maps through the command line: made cities, a small encoder."""
import json

import numpy as np
import pytest
import torch
from PIL import Image

from ddp_perception.apis import init_model
from tests.datasets.tiny_drivable import write_cities

SMALL = ['--cfg-options', 'model.encoder.blocks=((1,8,4),(1,16,2))',
         'model.encoder.out_channels=16', 'model.seg_head.decoder.channels=16',
         'model.seg_head.decoder.num_layers=1',
         'model.seg_head.decoder_grid=((-50,50,2),(-50,50,2))',
         'train_dataloader.batch_size=2',
         'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
         'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0']


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The cities of the configurations, beside the current folder's results."""
    monkeypatch.chdir(tmp_path)
    write_cities(tmp_path / 'cities', **{
        'boston-seaport': 4, 'singapore-onenorth': 3, 'singapore-queenstown': 2})
    return tmp_path / 'cities'


@pytest.fixture
def configs(repository_dir):
    return repository_dir / 'projects/map_prior/configs'


def test_training_test_and_prediction_of_any_city(run, configs, root, tmp_path):
    config = configs / 'ddp_3step_osm-drivable_cpu.py'
    run('train', config, '--data-root', root, '--work-dir', 'work', *SMALL,
        'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2')
    run('test', config, 'work/iter_2.pth', '--data-root', root, '--show-dir',
        'pictures', '--out', 'figures.json', *SMALL,
        'test_dataloader.dataset.cities=[boston-seaport]')
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert 0 <= figures['metrics']['map/drivable_area/iou@max'] <= 1
    pictures = sorted((tmp_path / 'pictures').glob('*.png'))
    assert [path.name for path in pictures] == [
        f'boston-seaport{index}.png' for index in range(4)]  # all of the batch
    width, height = Image.open(pictures[0]).size
    assert width > 1.5 * height  # three maps in a row over two

    run('predict', config, 'work/iter_2.pth', root / 'singapore-onenorth.npz',
        '--limit', 1, '--out', 'one', *SMALL)
    assert (tmp_path / 'one/singapore-onenorth0.png').is_file()
    with np.load(tmp_path / 'one/singapore-onenorth0.npz') as saved:
        assert saved['probabilities'].shape == (1, 200, 200)
        assert saved['classes'].tolist() == ['drivable_area']
        np.testing.assert_allclose(saved['xbound'], (-50, 50, 0.5))

    run('predict', config, 'work/iter_2.pth', root, '--no-pictures', '--out', 'all',
        *SMALL)
    assert sorted(path.name for path in (tmp_path / 'all').iterdir()) == [
        'singapore-queenstown0.npz', 'singapore-queenstown1.npz']


def test_a_missing_city_ends_in_one_message(error_of, configs, root):
    (root / 'singapore-onenorth.npz').unlink()
    said = error_of('train', configs / 'conv_osm-drivable_cpu.py', '--data-root', root,
                    '--work-dir', 'work')
    assert 'singapore-onenorth.npz is missing' in said and 'boston-seaport.npz' in said
    assert 'Traceback' not in said


def test_a_graph_is_evaluated_as_the_network_but_for_single_steps(
        run, error_of, configs, root, tmp_path, capsys):
    config = tmp_path / 'by_step.py'
    metrics = "dict(type='ddp.MapIoUMetric', step=0)"
    config.write_text(
        f"_base_ = '{configs / 'ddp_3step_osm-drivable_cpu.py'}'\n"
        'model = dict(seg_head=dict(keep_steps=True))\n'
        f"test_evaluator = [dict(type='ddp.MapIoUMetric'), {metrics}]\n")
    model = init_model(config, device='cpu', cfg_options=SMALL[1:])
    torch.save({'state_dict': model.state_dict()}, 'weights.pth')
    run('export', config, 'weights.pth', 'map.onnx', *SMALL)
    figures = {}
    for name, options in (('torch', ()), ('onnx', ('--onnx', 'map.onnx'))):
        capsys.readouterr()
        run('test', config, 'weights.pth', '--data-root', root, '--work-dir', 'work',
            '--out', f'{name}.json', *options, *SMALL)
        figures[name] = json.loads((tmp_path / f'{name}.json').read_text())['metrics']
    assert 'step 1 alone' in capsys.readouterr().out
    whole = {key: value for key, value in figures['torch'].items()
             if not key.startswith('step_1/')}
    assert figures['onnx'] == pytest.approx(whole, abs=1e-4)
    assert 0 < len(whole) < len(figures['torch']) and whole['map/mean/iou@max'] > 0
    config.write_text(config.read_text() + f'test_evaluator = {metrics}\n')
    assert 'single steps alone' in error_of(
        'test', config, 'weights.pth', '--data-root', root, '--onnx', 'map.onnx',
        *SMALL)
