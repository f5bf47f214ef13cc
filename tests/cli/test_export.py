"""The commands `export` and `predict --onnx`."""
import json

import numpy as np
import onnx
import pytest

from ddp_perception.export import tracing
from ddp_perception.export.tensorrt import unsupported_operations
from tests.cli.test_evaluation import CONFIGS, write_cityscapes, write_kitti
from tests.cli.test_predict_images import DEPTH, SEG, read, weights, write_image

__all__ = ['weights']  # the fixture
SIZE = {SEG: ('--image-size', 32, 64), DEPTH: ()}  # depth slides a window


@pytest.fixture(scope='module')
def graphs(weights, tmp_path_factory):
    """Files of the exported models."""
    from ddp_perception.cli.main import main
    folder = tmp_path_factory.mktemp('graphs')
    paths = {}
    for config, size in SIZE.items():
        paths[config] = folder / 'new' / f'{config.stem}.onnx'
        assert main(['export', str(config), str(weights[config]), str(paths[config]),
                     *map(str, size)]) == 0
    return paths


@pytest.mark.parametrize('config', [SEG, DEPTH], ids=['labels', 'depth'])
def test_predictions_by_the_graph_are_those_of_the_network(
        run, weights, graphs, tmp_path, config):
    for seed, name in enumerate(('a.png', 'drive/b.png')):
        write_image(tmp_path / 'street' / name, seed)
    for out, options in (('torch', ()), ('onnx', ('--onnx', graphs[config]))):
        run('predict', config, weights[config], tmp_path / 'street', '--out',
            tmp_path / out, *options)
    names = sorted(path.relative_to(tmp_path / 'torch')
                   for path in (tmp_path / 'torch').rglob('*.*'))
    assert len(names) == (4 if config == SEG else 6)
    for name in names:
        ours, theirs = tmp_path / 'onnx' / name, tmp_path / 'torch' / name
        if name.suffix == '.npz':
            np.testing.assert_allclose(np.load(ours)['uncertainty'],
                                       np.load(theirs)['uncertainty'], atol=2e-3)
        else:  # 1/256 m of depth
            apart = np.abs(read(ours).astype(int) - read(theirs).astype(int))
            # Of a JPEG a colour that changes by one step moves its neighbours too.
            assert apart.max() <= 1 if name.suffix == '.png' else (
                np.mean(apart > 8) < 1e-4)
    if config == SEG:
        labels = read(tmp_path / 'onnx/a_labels.png')
        np.testing.assert_array_equal(labels, read(tmp_path / 'torch/a_labels.png'))
        assert len(np.unique(labels)) > 1


@pytest.mark.parametrize('config, evaluated, write, figures', [
    (SEG, 'evaluate_seg', write_cityscapes, {'aAcc', 'mIoU', 'mAcc'}),
    (DEPTH, 'evaluate_depth', write_kitti, {'abs_rel', 'rmse', 'd1'})],
    ids=['labels', 'depth'])
def test_figures_by_the_graph_are_those_of_the_network(
        run, weights, graphs, tmp_path, config, evaluated, write, figures):
    write(tmp_path / 'data')
    records = {}
    for name, options in (('torch', ()), ('onnx', ('--onnx', graphs[config]))):
        place = tmp_path / f'{name}.json'
        run('test', CONFIGS / f'{evaluated}.py', weights[config], '--data-root',
            tmp_path / 'data', '--work-dir', tmp_path / name, '--out', place, *options)
        records[name] = json.loads(place.read_text())
    theirs = records['torch']['metrics']
    assert records['onnx']['metrics'] == pytest.approx(theirs, abs=1e-4)
    assert figures <= theirs.keys() and any(theirs.values())
    assert records['torch']['onnx'] is None
    assert records['onnx']['onnx'] == str(graphs[config])
    # The network ran in the first alone.
    assert records['torch']['mean_steps'] and not records['onnx']['mean_steps']


def test_evaluating_by_a_graph_of_something_else_is_an_error(
        error_of, weights, graphs, tmp_path):
    write_cityscapes(tmp_path / 'data')

    def error(*options):
        return error_of('test', CONFIGS / 'evaluate_seg.py', weights[SEG],
                        '--data-root', tmp_path / 'data', '--work-dir',
                        tmp_path / 'work', *options)
    assert 'other weights' in error('--onnx', graphs[DEPTH])
    assert 'num_steps=3, got 1' in error('--onnx', graphs[SEG], '--num-steps', 1)
    assert 'none.onnx does not exist' in error('--onnx', tmp_path / 'none.onnx')
    assert 'give one of them' in error('--onnx', graphs[SEG], '--compile')


def test_the_description_says_what_goes_in_and_comes_out(graphs):
    for config, path in graphs.items():
        text = json.loads(path.with_suffix('.json').read_text())
        model = onnx.load(path)
        assert [one['name'] for one in text['inputs']] == [
            one.name for one in model.graph.input] == ['images', 'noise']
        images, noise = model.graph.input
        axes = [axis.dim_param or axis.dim_value
                for axis in images.type.tensor_type.shape.dim]
        # One image: this Swin computes with the number of images.
        assert axes == text['inputs'][0]['shape'] == [1, 3, 32, 64]
        assert text['opset'] == 18 == model.opset_import[0].version
        assert text['not_in_tensorrt'] == [] == unsupported_operations(model)
        assert text['difference'] < 1e-4 and text['sampler']['num_steps'] == 3
        if config == SEG:
            assert text['classes'] == ['road', 'person', 'car']
            assert text['preprocessing']['mean'] == [120.] * 3
            assert text['preprocessing']['channel_order'] == 'rgb'
            assert text['outputs'][0]['name'] == 'probabilities'
        else:
            assert text['classes'] == [] and text['preprocessing']['std'] == [60.] * 3
            assert text['outputs'][0]['name'] == 'metres'


def test_a_graph_that_differs_is_not_written(
        error_of, weights, tmp_path, monkeypatch):
    def wrong(model, inputs, computed=tracing.run):
        prediction, *others = computed(model, inputs)
        prediction.flat[7] += 2e-4
        return [prediction, *others]
    monkeypatch.setattr(tracing, 'run', wrong)
    out = tmp_path / 'new/seg.onnx'
    message = error_of('export', SEG, weights[SEG], out, *SIZE[SEG])
    assert '0.0002' in message and 'in 1 of 6144 values' in message
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize('out, options, fragment', [
    ('seg.pth', SIZE[SEG], 'OUT must end with .onnx, got'),
    ('seg.onnx', (), '--image-size is needed'),
    ('seg.onnx', (*SIZE[SEG], '--opset', 17), '--opset must be at least 18, got 17'),
    ('seg.onnx', (*SIZE[SEG], '--until-stable'), 'until_stable and time_budget'),
    ('seg.onnx', (*SIZE[SEG], '--cfg-options', 'model.decode_head.sampler.method=ddpm'),
     "method='ddpm'"),
    ('seg.onnx', (*SIZE[SEG], '--parts', '--constant-noise'), 'z of the first step'),
    ('seg.onnx', (*SIZE[SEG], '--cameras', 1), '--cameras must be at least 2, got 1'),
    ('seg.onnx', ('--image-size', 0, 64), 'got 0 and 64'),
])
def test_what_cannot_be_exported_is_said_before_work_is_done(
        error_of, weights, tmp_path, out, options, fragment):
    message = error_of('export', SEG, weights[SEG], tmp_path / out, *options)
    assert fragment in message
    assert not list(tmp_path.iterdir())


def test_predicting_by_a_graph_of_something_else_is_an_error(
        error_of, weights, graphs, tmp_path):
    write_image(tmp_path / 'a.png', 0)
    write_image(tmp_path / 'b.png', 0, (48, 80))

    def error(image, *options, config=SEG):
        return error_of('predict', config, weights[config], tmp_path / image, '--out',
                        tmp_path / 'out', *options)
    assert 'num_steps=3, got 1' in error('a.png', '--onnx', graphs[SEG],
                                         '--num-steps', 1)
    assert 'other weights' in error('a.png', '--onnx', graphs[DEPTH])
    assert 'does not exist' in error('a.png', '--onnx', tmp_path / 'none.onnx')
    assert '--refinement' in error('a.png', '--onnx', graphs[SEG], '--refinement')
    assert '[1, 3, 32, 64], got [1, 3, 32, 53]' in error(
        'b.png', '--onnx', graphs[SEG])


def test_operations_that_tensorrt_lacks_are_named():
    nodes = [onnx.helper.make_node('Relu', ['x'], ['a']),
             onnx.helper.make_node('DFT', ['a'], ['b']),
             onnx.helper.make_node('GridSample', ['b', 'g'], ['c']),
             onnx.helper.make_node('ScatterND', [*'ciu'], ['d'], reduction='add'),
             onnx.helper.make_node('ScatterND', [*'diu'], ['e']),
             onnx.helper.make_node('Own', ['e'], ['y'], domain='mine')]
    graph = onnx.helper.make_graph(nodes, 'graph', [], [])
    assert unsupported_operations(onnx.helper.make_model(graph)) == [
        'DFT', 'GridSample', 'ScatterND (add)', 'mine.Own']
